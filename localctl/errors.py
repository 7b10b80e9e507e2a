"""Every failure that localctl names, as one tree.

::

    LocalctlError                   exit status 1
    ├── ConfigurationError          exit status 78: the installer's; one line a fault
    ├── NotRunning                  exit status 3: no daemon answers
    ├── PasswordRefused             the daemon wants another password
    ├── ListenError                 an address that cannot be bound
    ├── StateError                  the state directory or its database
    │   ├── DatabaseTooNew          written by a later version
    │   └── DatabaseDamaged         not what was written
    ├── StorageError                a read, write, fsync, rename or unlink that failed
    ├── IllegalStep                 ours: a state machine was asked for a step that its table lacks
    ├── OcppFault                   the CSMS's: answered with CALLERROR
    ├── CallFailed                  our CALL got no CALLRESULT
    │   ├── CallRefused             it got a CALLERROR
    │   ├── CallTimedOut            it got nothing in time
    │   └── LinkLost                the connection ended first
    ├── LinkFailed                  the CSMS cannot be reached, with a reason of the metrics
    ├── FetchError                  the origin's
    │   ├── OriginRefused           asking again is in vain
    │   └── OriginFailed            asking again may help
    ├── SetupRefused                a configuration cannot be written
    ├── ByHandRefused               what somebody on this machine asked for cannot be done
    └── LendError                   a station's request for a file
        ├── NotAdmitted             it is in none of the networks that are served
        ├── NotPublished            there is no such file
        └── TransfersExhausted      too many transfers already

Errors carry fields; ``str()`` of each is a sentence for the person who must act. None carries a secret.
"""

from typing import ClassVar


class LocalctlError(Exception):
    """Anything that localctl itself raises; ``exit_status`` is the command's when nothing handles it."""

    exit_status: ClassVar[int] = 1


class ConfigurationError(LocalctlError):
    """The configuration cannot be used. ``faults`` are whole lines, ``FILE: section.key: …``."""

    exit_status = 78  # sysexits.h EX_CONFIG: systemd does not restart on it

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class NotRunning(LocalctlError):
    """No daemon answers at the admin address."""

    exit_status = 3

    def __init__(self, address: str, cause: str) -> None:
        super().__init__(f"no localctl answers at {address}: {cause}")
        self.address = address


class PasswordRefused(LocalctlError):
    """A daemon answers, and wants another password than ours."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"the localctl at {address} wants another password than admin.password(_file) of this configuration: "
            "is it the file that localctl runs on, and has it been reloaded since that was changed?"
        )
        self.address = address


class ListenError(LocalctlError):
    """A listener cannot be bound."""

    def __init__(self, key: str, address: str, cause: str) -> None:
        super().__init__(f"{key}: cannot listen on {address}: {cause}")
        self.key = key
        self.address = address


class StateError(LocalctlError):
    """The state directory or the database in it cannot be used."""

    def __init__(self, path: str, cause: str) -> None:
        super().__init__(f"{path}: {cause}")
        self.path = path


class DatabaseTooNew(StateError):
    """The database was written by a later version of localctl."""

    def __init__(self, path: str, found: int, known: int) -> None:
        super().__init__(
            path,
            f"its schema version is {found}, this localctl knows {known}: it was written by a later version; "
            "install that version again, or move the file away to begin anew",
        )
        self.found = found
        self.known = known


class DatabaseDamaged(StateError):
    """The database is not what was written: no SQLite file, cut, or with pages overwritten."""

    def __init__(self, path: str, cause: str) -> None:
        super().__init__(path, f"the database is damaged: {cause}")


class StorageError(LocalctlError):
    """The disk failed an ``operation``: read, write, fsync, rename, unlink, commit."""

    def __init__(self, operation: str, path: str, cause: OSError | str) -> None:
        super().__init__(f"{operation} of {path} failed: {cause}")
        self.operation = operation
        self.path = path
        self.errno = cause.errno if isinstance(cause, OSError) else None


class IllegalStep(LocalctlError):
    """A state machine has no step for this event in this state: a fault of ours."""

    def __init__(self, state: str, event: str) -> None:
        super().__init__(f"no step for {event} in state {state}")
        self.state = state
        self.event = event


class OcppFault(LocalctlError):
    """What the CSMS sent cannot be done; answered with CALLERROR ``code`` (OCPP-J 4.3)."""

    def __init__(self, code: str, description: str, message_id: str = "-1") -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description
        self.message_id = message_id


class CallFailed(LocalctlError):
    """A CALL of ours got no CALLRESULT."""


class CallRefused(CallFailed):
    """The CSMS answered our CALL with a CALLERROR."""

    def __init__(self, action: str, code: str, description: str) -> None:
        super().__init__(f"the CSMS answered {action} with {code}: {description}")
        self.action = action
        self.code = code


class CallTimedOut(CallFailed):
    """The CSMS did not answer our CALL in time."""

    def __init__(self, action: str, seconds: float) -> None:
        super().__init__(f"the CSMS did not answer {action} within {seconds:g} s")
        self.action = action


class LinkLost(CallFailed):
    """The connection ended before the CSMS answered our CALL."""

    def __init__(self, action: str) -> None:
        super().__init__(f"the connection ended before the CSMS answered {action}")
        self.action = action


class LinkFailed(LocalctlError):
    """The CSMS cannot be reached; ``reason`` is a label of csms_connection_failures_total."""

    def __init__(self, reason: str, cause: str) -> None:
        super().__init__(cause)
        self.reason = reason


class FetchError(LocalctlError):
    """A download from an origin ended without the file."""


class OriginRefused(FetchError):
    """Asking the origin again is in vain."""


class OriginFailed(FetchError):
    """Asking the origin again may help, ``retry_after`` seconds from now at the earliest if it said so."""

    def __init__(self, cause: str, retry_after: float | None = None) -> None:
        super().__init__(cause)
        self.retry_after = retry_after


class SetupRefused(LocalctlError):
    """The configuration cannot be read or written; the text says why, and what to do."""


class ByHandRefused(LocalctlError):
    """What was to be published or withdrawn by hand cannot be; the text says why, and what to do."""


class LendError(LocalctlError):
    """A station's request for a file is refused."""


class NotAdmitted(LendError):
    """The station is in none of the networks that are served."""

    def __init__(self, address: str) -> None:
        super().__init__(f"{address} is served nothing: it is in none of publish.allowed_networks")
        self.address = address


class NotPublished(LendError):
    """No file is published under that checksum and name."""


class TransfersExhausted(LendError):
    """As many transfers run as are allowed; ``retry_after`` seconds is a good time to ask again."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("as many transfers are under way as are allowed")
        self.retry_after = retry_after
