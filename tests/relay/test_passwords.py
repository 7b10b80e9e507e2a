"""Stations' passwords, checked by a file."""

import base64
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from localctl.errors import ConfigurationError
from localctl.relay.passwords import Passwords, read
from localctl.relay.policy import Refusal
from localctl.relay.scrypt import Hash

SECRET = b"geheim-0815-geheim"


class Counting(Executor):
    """Threads, and how often they were asked."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1)
        self.asked = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.asked += 1
        return self._threads.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002
        self._threads.shutdown(wait, cancel_futures=cancel_futures)


@pytest.fixture
def threads() -> Iterator[Counting]:
    """Threads of their own."""
    with Counting() as threads:
        yield threads


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of two stations."""
    path = tmp_path / "passwords"
    path.write_text(f"# our stations\n\nCS-1:{phc(SECRET)}\n  CS:2:{phc(b'other', ln=5)}  \n")
    return path


def phc(password: bytes, ln: int = 4) -> str:
    """What proves a password, cheaply."""
    return str(Hash(ln, 1, 1, b"saltsalt", hashlib.scrypt(password, salt=b"saltsalt", n=1 << ln, r=1, p=1, dklen=32)))


def sent(user: str, password: bytes) -> str:
    """An Authorization header."""
    return "Basic " + base64.b64encode(user.encode() + b":" + password).decode()


def why(refusal: Refusal | None) -> str:
    """The reason of a 401 that asks for a password."""
    assert refusal is not None
    assert (refusal.status, refusal.result, refusal.body) == (401, "password", b"")
    assert dict(refusal.headers)["WWW-Authenticate"].startswith("Basic ")
    return refusal.why


async def test_the_right_password_passes(path: Path, threads: Counting) -> None:
    """A00.FR.207, FR.324: identity and password match; identities in either case."""
    passwords = Passwords(str(path), threads, b"key")
    assert await passwords.judge("CS-1", sent("CS-1", SECRET)) is None
    assert await passwords.judge("cs-1", sent("Cs-1", SECRET)) is None
    assert await passwords.judge("CS:2", sent("CS:2", b"other")) is None


async def test_everybody_else_gets_401(path: Path, threads: Counting) -> None:
    """No password, a wrong one, another station's, a station that is not in the file; the reason is for the log."""
    passwords = Passwords(str(path), threads, b"key")
    assert "sent no password" in why(await passwords.judge("CS-1", None))
    assert "user name" in why(await passwords.judge("CS-1", sent("CS:2", b"other")))
    assert "password is wrong" in why(await passwords.judge("CS-1", sent("CS-1", b"other")))
    assert "password is wrong" in why(await passwords.judge("CS-1", sent("CS-1", b"")))
    assert "has no line for it" in why(await passwords.judge("CS-3", sent("CS-3", SECRET)))
    assert "has no line for it" in why(await passwords.judge("", sent("", SECRET)))


async def test_a_password_is_proved_once(path: Path, threads: Counting) -> None:
    """A site that comes back at once costs nothing; a wrong password is looked at again each time."""
    passwords = Passwords(str(path), threads, b"key")
    for _ in range(3):
        assert await passwords.judge("CS-1", sent("CS-1", SECRET)) is None
    assert threads.asked == 1
    for _ in range(2):
        assert await passwords.judge("CS-1", sent("CS-1", b"guess")) is not None
    assert threads.asked == 3
    assert await passwords.judge("CS-1", sent("CS-1", SECRET)) is None
    assert threads.asked == 3


async def test_who_is_unknown_costs_as_much(path: Path, threads: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    """By time nobody learns which stations there are: the same work, at the cost of the dearest line."""
    looked = []
    monkeypatch.setattr(Hash, "proves", lambda stored, _: looked.append(stored.cost))
    passwords = Passwords(str(path), threads, b"key")
    await passwords.judge("CS:2", sent("CS:2", b"guess"))
    await passwords.judge("CS-3", sent("CS-3", b"guess"))
    assert looked == [32, 32]


async def test_a_changed_file_counts(path: Path, threads: Counting) -> None:
    """A new password replaces the old one at once, also where the old one was remembered."""
    passwords = Passwords(str(path), threads, b"key")
    assert await passwords.judge("CS-1", sent("CS-1", SECRET)) is None
    path.write_text(f"CS-1:{phc(b'new')}\n")
    await passwords.look()
    assert await passwords.judge("CS-1", sent("CS-1", SECRET)) is None  # it may still be written to
    await passwords.look()
    assert "password is wrong" in why(await passwords.judge("CS-1", sent("CS-1", SECRET)))
    assert await passwords.judge("CS-1", sent("CS-1", b"new")) is None
    assert "has no line for it" in why(await passwords.judge("CS:2", sent("CS:2", b"other")))


async def test_a_bad_change_is_told_and_the_old_file_stays(
    path: Path, threads: Counting, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning that names key and line, and repeats nothing of it."""
    passwords = Passwords(str(path), threads, b"key")
    path.write_text("CS-1:geheim-0815\n")
    for _ in range(3):
        await passwords.look()
    [warning] = [record.getMessage() for record in caplog.records]
    assert warning.startswith(
        f'The new passwords are of no use, and the old ones stay: stations.password_file: "{path}" line 1 is no PHC'
    )
    assert "0815" not in warning
    assert await passwords.judge("CS-1", sent("CS-1", SECRET)) is None
    path.unlink()
    await passwords.look()
    assert await passwords.judge("CS:2", sent("CS:2", b"other")) is None


def test_all_bad_lines_are_told_at_once(path: Path, threads: Counting) -> None:
    """By their numbers; what stands in them is nobody's business."""
    path.write_text(f"CS-1:geheim-0815\n# ok\nCS-2:{phc(b'x')}\ncs-2:{phc(b'y')}\n:{phc(b'z')}\n{phc(b'z')}\n")
    with pytest.raises(ConfigurationError) as caught:
        Passwords(str(path), threads, b"key")
    begin, end = f'stations.password_file: "{path}" line ', "; allowed: lines of `localctl password IDENTITY`"
    assert [fault.removeprefix(begin).partition(end)[0] for fault in caught.value.faults] == [
        "1 is no PHC string of scrypt",
        "4 names its station a second time",
        "5 names no station",
        "6 names no station",
    ]
    assert "0815" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"# nobody\n", b"\xef\xbb\xbf# with a mark\r\n"])
def test_a_file_of_nobody_lets_nobody_in(tmp_path: Path, content: bytes) -> None:
    """It is no fault: the first station may come later."""
    path = tmp_path / "passwords"
    path.write_bytes(content)
    assert read(str(path)) == {}


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    """Missing, or no text."""
    path = tmp_path / "passwords"
    with pytest.raises(ConfigurationError, match="cannot be read: No such file or directory"):
        read(str(path))
    path.write_bytes(os.urandom(8) + b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="is not UTF-8 text"):
        read(str(path))
