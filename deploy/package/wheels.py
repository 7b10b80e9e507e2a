"""The wheels of a target, of every Python, by hash; and the one tree that they make together. Edge.

A tree serves several Pythons because compiled modules carry the Python's tag in their names, and all else is the same.
"""

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name, parse_wheel_filename

from deploy.package.lock import Locked, needed
from deploy.package.targets import PYTHONS, Target

SOURCES: Final = frozenset({"pyftpdlib"})  # released without a wheel: one is made of the source, which is locked too
_NEEDLESS: Final = re.compile(  # at run time: what a compiler, a type checker or a test reads, and commands
    r"\.(pyi|pyx|pxd|pxi|c|h)$|/_testcapi\..*\.so$|^pyftpdlib/test/|\.data/|\.dist-info/(sboms/.*|RECORD|INSTALLER|WHEEL|top_level\.txt)$"
)
_SOME_DATE: Final = "315532800"  # of the files in a wheel that is made here: the same in each build
_PIP: Final = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "-qq")


class PackageError(Exception):
    """The package cannot be built; the sentence says why."""


def fetch(target: Target, locked: list[Locked], cache: Path) -> list[Path]:
    """Every wheel of ``target``, from ``cache`` or by pip. Raises PackageError."""
    found: dict[str, Path] = {}
    for python in PYTHONS:
        wanted = [each for each in needed(locked, python, target.machine) if target.carries(each.name)]
        for path in _of_python(target, python, wanted, cache):
            found[path.name] = path
    return [found[name] for name in sorted(found)]


def _of_python(target: Target, python: str, wanted: list[Locked], cache: Path) -> list[Path]:
    folder = cache / f"{target.debian}-{python}"
    folder.mkdir(parents=True, exist_ok=True)
    wheels = [each for each in wanted if each.name not in SOURCES]
    if not all(_present(each, folder) for each in wheels):
        tag = python.replace(".", "")
        _pip(
            wheels, folder, "download", "--only-binary=:all:", "-d", str(folder), "--implementation=cp",
            f"--python-version={tag}", f"--abi=cp{tag}", "--abi=abi3", "--abi=none",
            *(f"--platform={name}" for name in target.platforms),
        )  # fmt: skip
    paths = [_present(each, folder) for each in wheels]
    missing = [each.name for each, path in zip(wheels, paths, strict=True) if path is None]
    if missing:
        raise PackageError(f"{target.debian}, Python {python}: pip brought no wheel of {', '.join(missing)}")
    made = [_made(each, cache) for each in wanted if each.name in SOURCES]
    return [path for path in paths if path] + made


def _present(locked: Locked, folder: Path) -> Path | None:
    """Its wheel, where it is in the folder and is what was locked."""
    for path in folder.glob("*.whl"):
        name, version, _, _ = parse_wheel_filename(path.name)
        if (name, str(version)) == (locked.name, locked.version) and sha256(path) in locked.hashes:
            return path
    return None


def _made(locked: Locked, cache: Path) -> Path:
    """The wheel made of its source, which pip compares with the lock."""
    folder = cache / f"{locked.name}-{locked.version}"
    if not list(folder.glob("*.whl")):
        folder.mkdir(parents=True, exist_ok=True)
        _pip([locked], folder, "wheel", f"--no-binary={locked.name}", "--no-build-isolation", "-w", str(folder))
    [path] = folder.glob("*.whl")
    return path


def _pip(wanted: list[Locked], folder: Path, command: str, *options: str) -> None:
    requirements = folder / "requirements.txt"
    requirements.write_text("".join(f"{each.line}\n" for each in wanted), encoding="utf-8")
    line = [*_PIP, command, "--require-hashes", "--no-deps", *options, "-r", str(requirements)]
    dated = os.environ | {"SOURCE_DATE_EPOCH": _SOME_DATE}
    if subprocess.run(line, check=False, stdin=subprocess.DEVNULL, env=dated).returncode != 0:
        raise PackageError(f"pip {command} failed for {folder.name}; what it says is above")


def own_wheel(root: Path, folder: Path) -> Path:
    """That of localctl itself. Raises PackageError."""
    line = [*_PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(root)]
    if subprocess.run(line, check=False, stdin=subprocess.DEVNULL).returncode != 0:
        raise PackageError("pip could not make localctl's own wheel; what it says is above")
    [path] = folder.glob("localctl-*.whl")
    return path


def merge(wheels: list[Path], tree: Path) -> None:
    """All of them, unpacked over each other. Raises PackageError where two files of one name differ."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                if not entry.is_dir() and not _NEEDLESS.search(entry.filename):
                    _place(tree / entry.filename, archive.read(entry), wheel)


def _place(path: Path, content: bytes, wheel: Path) -> None:
    if path.exists():
        if path.read_bytes() != content:
            raise PackageError(f"{path.name} of {wheel.name} differs from that of another wheel: they cannot be merged")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def sha256(path: Path) -> str:
    """In hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def distribution(wheel: Path) -> str:
    """The canonical name of what a wheel holds."""
    return canonicalize_name(parse_wheel_filename(wheel.name)[0])
