"""The tree of exceptions: as drawn, each with a sentence and an exit status."""

import inspect
import re

import pytest

from localctl import errors
from localctl.errors import (
    ByHandRefused,
    CallRefused,
    CallTimedOut,
    ConfigurationError,
    DatabaseDamaged,
    DatabaseTooNew,
    IllegalStep,
    LinkFailed,
    LinkLost,
    ListenError,
    LocalctlError,
    NotAdmitted,
    NotPublished,
    NotRunning,
    OcppFault,
    OriginFailed,
    OriginRefused,
    PasswordRefused,
    SetupRefused,
    StateError,
    StorageError,
    TransfersExhausted,
)

SENTENCES: dict[LocalctlError, str] = {
    ConfigurationError(("c.toml: a: x", "c.toml: b: y")): "c.toml: a: x\nc.toml: b: y",
    NotRunning("127.0.0.1:9188", "Connection refused"): "no localctl answers at 127.0.0.1:9188: Connection refused",
    PasswordRefused("h:1"): "the localctl at h:1 wants another password than admin.password(_file) of this"
    " configuration: is it the file that localctl runs on, and has it been reloaded since that was changed?",
    ListenError("publish.http", "0.0.0.0:80", "Permission denied"): (
        "publish.http: cannot listen on 0.0.0.0:80: Permission denied"
    ),
    StateError("/var/lib/localctl", "is no folder"): "/var/lib/localctl: is no folder",
    DatabaseDamaged("/var/lib/localctl/localctl.db", "it was cut"): (
        "/var/lib/localctl/localctl.db: the database is damaged: it was cut"
    ),
    StorageError("fsync", "/var/lib/localctl/x", OSError(5, "Input/output error")): (
        "fsync of /var/lib/localctl/x failed: [Errno 5] Input/output error"
    ),
    IllegalStep("published", "Fetched"): "no step for Fetched in state published",
    OcppFault("NotImplemented", "no such action", "17"): "NotImplemented: no such action",
    CallRefused("Heartbeat", "GenericError", "no"): "the CSMS answered Heartbeat with GenericError: no",
    CallTimedOut("Heartbeat", 30.0): "the CSMS did not answer Heartbeat within 30 s",
    LinkLost("Heartbeat"): "the connection ended before the CSMS answered Heartbeat",
    LinkFailed("dns", "csms.invalid: unknown name"): "csms.invalid: unknown name",
    OriginRefused("404"): "404",
    OriginFailed("503", 30.0): "503",
    SetupRefused("/etc/localctl may not be written to"): "/etc/localctl may not be written to",
    ByHandRefused("the file is empty"): "the file is empty",
    NotAdmitted("192.0.2.7"): "192.0.2.7 is served nothing: it is in none of publish.allowed_networks",
    NotPublished("nothing"): "nothing",
    TransfersExhausted(30): "as many transfers are under way as are allowed",
}


def drawn() -> dict[str, str]:
    """Each class of the docstring's drawing with its parent's name."""
    parents: list[str] = []
    tree: dict[str, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^    ((?:[│ ]   )*)(?:[├└]── )?([A-Z]\w+)", line)
        if found is None:
            continue
        depth = len(found[1]) // 4 + ("── " in line)
        parents[depth:] = [found[2]]
        tree[found[2]] = parents[depth - 1] if depth else "Exception"
    return tree


def test_tree_is_as_drawn() -> None:
    """Every exception stands in the docstring's drawing under its parent, and nothing else does."""
    classes = inspect.getmembers(errors, lambda member: inspect.isclass(member) and issubclass(member, Exception))
    assert {name: member.__bases__[0].__name__ for name, member in classes} == drawn()


@pytest.mark.parametrize(("error", "sentence"), SENTENCES.items(), ids=lambda value: type(value).__name__)
def test_error_is_a_sentence(error: LocalctlError, sentence: str) -> None:
    """What is printed tells the person who must act what went wrong."""
    assert str(error) == sentence


def test_exit_statuses_are_those_promised() -> None:
    """78 on a bad configuration, 3 where no daemon runs, 1 otherwise."""
    assert {type(error): error.exit_status for error in SENTENCES if error.exit_status != 1} == {
        ConfigurationError: 78,
        NotRunning: 3,
    }


def test_database_of_a_later_version_says_what_to_do() -> None:
    """Both versions and both ways out stand in the sentence (faults, row 8)."""
    error = DatabaseTooNew("/var/lib/localctl/localctl.db", 7, 3)
    assert (error.path, error.found, error.known) == ("/var/lib/localctl/localctl.db", 7, 3)
    for part in ("schema version is 7", "knows 3", "install that version again", "move the file away"):
        assert part in str(error)


def test_storage_error_keeps_the_number_of_its_cause() -> None:
    """A full disk is told from a broken one by its errno; a cause in words has none."""
    assert StorageError("write", "/x", OSError(28, "No space left on device")).errno == 28
    assert StorageError("read", "/x", "its MD5 differs").errno is None


def test_fields_are_kept_for_those_who_decide() -> None:
    """Errors carry fields: nobody has to read a sentence to decide."""
    assert OriginFailed("503", 30.0).retry_after == 30.0
    assert OriginFailed("503").retry_after is None
    assert TransfersExhausted(30).retry_after == 30
    assert LinkFailed("dns", "x").reason == "dns"
    assert (OcppFault("a", "b").message_id, OcppFault("a", "b", "17").message_id) == ("-1", "17")
