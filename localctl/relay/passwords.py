"""Stations' passwords, checked here (``stations.authentication = "local"``; A00.FR.207, FR.324). Edge.

A password that was right is remembered as a keyed hash that is quick to make, so that a site's stations that come back
at once cost nothing; the first look costs what ``scrypt`` makes it cost, in a thread. Who is not in the file waits as
long as who is. No password and no line of the file is ever logged.
"""

import asyncio
import hmac
import logging
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Final

from localctl.errors import ConfigurationError
from localctl.relay.basic import password_of
from localctl.relay.policy import Refusal
from localctl.relay.scrypt import Hash, decoy, parse
from localctl.renewal import Watched

KEY: Final = "stations.password_file"
_ALLOWED: Final = "allowed: lines of `localctl password IDENTITY`, comments that begin with #"
_CHALLENGE: Final = (("WWW-Authenticate", 'Basic realm="localctl", charset="UTF-8"'),)  # RFC 9110, 15.5.2
_log = logging.getLogger("localctl.relay")


class Passwords:
    """The file's. ``executor`` has the threads for the slow looks, ``key`` is 32 bytes of chance.

    Raises ConfigurationError where the file cannot be used.
    """

    def __init__(self, path: str, executor: Executor, key: bytes) -> None:
        self._path = path
        self._executor = executor
        self._key = key
        self._files = Watched(path)
        self._right: dict[str, bytes] = {}
        self._use(read(path))

    async def judge(self, identity: str, authorization: str | None) -> Refusal | None:
        """Whether a station of that identity, with that Authorization header, is turned away: with 401."""
        try:
            password = password_of(authorization, identity)
        except ValueError as fault:
            return _refusal(str(fault))
        name = identity.casefold()
        known = self._known.get(name)
        stored = known or self._decoy
        seal = hmac.digest(self._key, str(stored).encode() + b"\0" + password, "sha256")
        if known and hmac.compare_digest(self._right.get(name, b""), seal):
            return None
        right = await asyncio.get_running_loop().run_in_executor(self._executor, stored.proves, password)
        if known is None:
            return _refusal(f"{KEY} has no line for it")
        if not right:
            return _refusal("its password is wrong")
        self._right[name] = seal
        return None

    async def look(self) -> None:
        """Use the file where it has changed; one of no use is told, and what was read before stays. To be called every
        LOOK_SECONDS of ``renewal``.
        """
        if not self._files.have_changed():
            return
        try:
            self._use(await asyncio.get_running_loop().run_in_executor(self._executor, read, self._path))
        except ConfigurationError as fault:
            _log.warning("The new passwords are of no use, and the old ones stay: %s", "; ".join(fault.faults))
        else:
            _log.info("The passwords of %d stations have been read again", len(self._known))

    def _use(self, known: Mapping[str, Hash]) -> None:
        self._known = known
        self._decoy = decoy(max(known.values(), key=lambda each: each.cost, default=None))
        self._right = {name: seal for name, seal in self._right.items() if name in known}


def read(path: str) -> dict[str, Hash]:
    """The passwords by identity in lower case. Raises ConfigurationError, a fault a line, that repeats no line."""
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as fault:
        raise ConfigurationError((f'{KEY}: "{path}" cannot be read: {fault.strerror}',)) from None
    except UnicodeDecodeError:
        raise ConfigurationError((f'{KEY}: "{path}" is not UTF-8 text; {_ALLOWED}',)) from None
    found: dict[str, Hash] = {}
    faults: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        identity, _, phc = line.strip().rpartition(":")
        try:
            stored = parse(phc)
            if not identity or identity.casefold() in found:
                raise ValueError("names its station a second time" if identity else "names no station")
            found[identity.casefold()] = stored
        except ValueError as fault:
            faults.append(f'{KEY}: "{path}" line {number} {fault}; {_ALLOWED}')
    if faults:
        raise ConfigurationError(tuple(faults))
    return found


def _refusal(why: str) -> Refusal:
    return Refusal(401, "password", why, _CHALLENGE)
