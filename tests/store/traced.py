"""``tests.store.placing`` under strace: which system calls it made in which order, or killed and failed at one."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

_ROOT: Final = Path(__file__).parents[2]
_CALL: Final = re.compile(r"(?P<name>\w+)\((?P<rest>.*)\) += \S+.*")
_RESUMED: Final = re.compile(r"<\.\.\. \w+ resumed>")
_UNFINISHED: Final = " <unfinished ...>"
_PATHS: Final = re.compile(r'(?:\d+<|")(?P<path>[^">]*)[>"]')
_TRACED: Final = "trace=fsync,fdatasync,/^rename,mkdir,unlink,unlinkat,rmdir,write"


def placed(state_dir: Path, *inject: str, paths: tuple[Path, ...] = (), last: str = "withdrawn") -> list[str]:
    """The steps that the program said, in order; ``inject`` are strace's injections, at ``paths`` only if given."""
    _require()
    options = [option for each in inject for option in ("-e", f"inject={each}")]
    options += [option for path in paths for option in ("-P", str(path))]
    return _run(state_dir, last, [*options, "-o", "/dev/null"]).splitlines()


def calls(state_dir: Path, last: str = "withdrawn") -> list[str]:
    """What the program did to the disk below ``state_dir``, in order: ``fsync partial/1``, ``rename partial/1 …``;
    a step that it said is ``said verified``.
    """
    _require()
    trace = state_dir.with_suffix(".trace")
    _run(state_dir, last, ["-y", "-e", _TRACED, "-o", str(trace)])
    found = (_CALL.fullmatch(line) for line in _lines(trace))
    return [call for match in found if match and (call := _told(match, state_dir))]


def _lines(trace: Path) -> Iterator[str]:
    """Each call when it had returned; one that another thread's call interrupted is put together again."""
    begun: dict[str, str] = {}
    for line in trace.read_text().splitlines():
        thread, call = line.split(maxsplit=1)
        if call.endswith(_UNFINISHED):
            begun[thread] = call.removesuffix(_UNFINISHED)
        elif resumed := _RESUMED.match(call):
            yield begun.pop(thread) + call[resumed.end() :]
        else:
            yield call


def _told(match: re.Match[str], state_dir: Path) -> str:
    if match["name"] == "write" and match["rest"].startswith("1<"):
        return f"said {match['rest'].split(chr(34))[1].removesuffix(chr(92) + 'n')}"
    paths = [path for path in _PATHS.findall(match["rest"]) if path.startswith(str(state_dir))]
    shown = " ".join(path.removeprefix(str(state_dir)).lstrip("/") or "." for path in paths)
    return f"{match['name']} {shown}" if paths else ""


def _run(state_dir: Path, last: str, options: list[str]) -> str:
    program = [sys.executable, "-m", "tests.store.placing", str(state_dir), last]
    command = ["strace", "-f", "--seccomp-bpf", *options, *program]
    return subprocess.run(command, capture_output=True, text=True, cwd=_ROOT, timeout=120, check=False).stdout


@cache
def _usable() -> bool:
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-f", "--seccomp-bpf", "true"], capture_output=True, check=False).returncode == 0


def _require() -> None:
    if not _usable():
        pytest.skip("strace is not installed, or may not trace here")
