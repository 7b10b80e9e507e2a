"""The file of stations' passwords."""

from pathlib import Path

from localctl.checking.passwords import of_file
from localctl.relay.scrypt import SALT_BYTES, hashed

LINE = f"CS-1:{hashed(b'geheim-0815-geheim', bytes(SALT_BYTES))}\n"


def verdicts(path: Path) -> list[str]:
    """What is found, and that whatever is not ok has advice."""
    found = list(of_file(str(path)))
    assert not [check for check in found if (check.verdict == "ok") == bool(check.advice)]
    assert "0815" not in str(found)
    return [f"{check.verdict} {check.what.removeprefix('stations.password_file: ')}" for check in found]


def test_what_the_file_is_good_for(tmp_path: Path) -> None:
    """Whole, empty, with bad lines, open to everyone, or not there."""
    path = tmp_path / "passwords"
    assert verdicts(path) == [f'FAIL "{path}" cannot be read: No such file or directory']
    path.write_text(LINE)
    path.chmod(0o640)
    assert verdicts(path) == [f"ok {path} has the passwords of 1 station"]
    path.chmod(0o644)
    assert verdicts(path)[1:] == [f"warn {path} can be read by everyone"]
    path.write_text(LINE + "CS-2:geheim-0815\nCS-3:geheim-0815\n")
    assert [line.partition(";")[0] for line in verdicts(path)] == [
        f'FAIL "{path}" line {number} is no PHC string of scrypt' for number in (2, 3)
    ]
    path.write_text("# nobody yet\n")
    path.chmod(0o640)
    assert verdicts(path) == [f"warn {path} has no line, so no station is let in"]
