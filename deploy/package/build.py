"""Builds the packages: the tree of libraries, the papers, and nfpm's .deb of both. Run by deploy/package.sh. Edge."""

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from string import Template
from typing import Final

from deploy.package import adapted, lock, papers, wheels
from deploy.package.targets import TARGETS, Target

_HERE: Final = Path(__file__).parent


def version_of(root: Path, seconds: int) -> str:
    """Pyproject's where its tag is checked out, else one that is before it and after that of each earlier commit."""
    released = str(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
    if _git(root, "describe", "--exact-match", "--match", f"v{released}") == f"v{released}":
        return released
    count, commit = _git(root, "rev-list", "--count", "HEAD"), _git(root, "rev-parse", "--short=8", "HEAD")
    return f"{released}~dev{count}.g{commit}" if commit else f"{released}~dev{seconds}"


def seconds_of(root: Path) -> int:
    """The date of everything within: that of the commit, or SOURCE_DATE_EPOCH."""
    given = os.environ.get("SOURCE_DATE_EPOCH") or _git(root, "log", "-1", "--format=%ct")
    return int(given or (root / "pyproject.toml").stat().st_mtime)


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)  # noqa: S607  git is where it is
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def _zipped(path: Path, content: str) -> None:
    _write(path, gzip.compress(content.encode(), 9, mtime=0))


def stage(root: Path, target: Target, version: str, seconds: int, folder: Path, cache: Path) -> None:
    """All files of the package below ``folder``. Raises PackageError."""
    carried = wheels.fetch(target, lock.parse(_read(root / "deploy/requirements.lock")), cache)
    own = wheels.own_wheel(root, folder / "own")
    tree = folder / "usr/lib/localctl"
    wheels.merge([*carried, own], tree)
    compiled = sorted(str(path) for path in tree.rglob("*.so"))
    subprocess.run([f"{target.tools}-strip", "--strip-unneeded", *compiled], check=True)
    path = ", ".join(f'"{each}"' for each in target.path)
    _write(folder / "usr/bin/localctl", _read(_HERE / "localctl.in").replace("@PATH@", path))
    _write(folder / "etc/localctl/config.toml", adapted.config(_read(root / "config.example.toml")))
    for source in sorted((root / "systemd").rglob("*")):
        if source.suffix in {".service", ".socket", ".conf"}:
            _write(
                folder / "usr/lib/systemd/system" / source.relative_to(root / "systemd"), adapted.unit(_read(source))
            )
    subprocess.run([sys.executable, "-IBS", str(_HERE / "manual.py"), str(tree), str(folder), str(seconds)], check=True)
    manual = folder / "usr/share/man/man1/localctl.1"
    _zipped(manual.with_suffix(".1.gz"), _read(manual))
    manual.unlink()
    _documents(root, target, version, seconds, folder, papers.carried([own]) + papers.carried(carried))


def _documents(
    root: Path, target: Target, version: str, seconds: int, folder: Path, carried: list[papers.Carried]
) -> None:
    doc = folder / "usr/share/doc/localctl"
    _zipped(doc / "changelog.gz", _read(root / "CHANGELOG.md"))
    _zipped(doc / "changelog.Debian.gz", papers.changelog(f"{version}-1", seconds))
    _zipped(doc / "README.md.gz", _read(root / "README.md"))
    _zipped(doc / "installing.md.gz", _read(root / "deploy/README.md"))
    _write(doc / "config.example.toml", _read(root / "config.example.toml"))
    for source in sorted((*root.glob("deploy/prometheus/*.yml"), *root.glob("deploy/grafana/*.json"))):
        if not source.name.endswith(".test.yml"):
            _write(doc / source.parent.name / source.name, _read(source))
    _write(doc / "copyright", papers.copyright_file(carried[0], carried[1:]))
    _write(doc / "sbom.cdx.json", papers.bill(carried[0], carried[1:], version, target.debian, seconds))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def pack(target: Target, version: str, seconds: int, folder: Path, output: Path) -> Path:
    """The .deb of what is staged. Raises PackageError."""
    values = {
        "ARCH": target.debian, "VERSION": version, "STAGE": str(folder), "HERE": str(_HERE),
        "DEPENDS": json.dumps(target.depends),
    }  # fmt: skip
    made = folder / "nfpm.yaml"
    _write(made, Template(_read(_HERE / "nfpm.yaml")).substitute(values))
    for path in (folder, *folder.rglob("*")):  # nfpm takes modes and dates as they are
        path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        os.utime(path, (seconds, seconds))
    deb = output / f"localctl_{version}-1_{target.debian}.deb"
    line = ["nfpm", "package", "--config", str(made), "--packager", "deb", "--target", str(deb)]
    done = subprocess.run(
        line, check=False, capture_output=True, text=True, env=os.environ | {"SOURCE_DATE_EPOCH": str(seconds)}
    )
    if done.returncode != 0:
        raise wheels.PackageError(f"nfpm: {done.stdout}{done.stderr}")
    return deb


def main() -> None:
    """Build what the command line names, and print what was made."""
    parser = argparse.ArgumentParser(prog="deploy/package.sh", description="Builds the Debian packages.")
    parser.add_argument("architectures", nargs="*", metavar="ARCH", help=f"of {', '.join(TARGETS)}; all without")
    parser.add_argument("--output", type=Path, metavar="DIR", help=".venv/dist without")
    parser.add_argument("--version", help="instead of pyproject's, or of the commit's")
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if unknown := [name for name in given.architectures if name not in TARGETS]:
        parser.error(f"{', '.join(unknown)}: not one of {', '.join(TARGETS)}")
    root: Path = given.root
    output: Path = (given.output or root / ".venv/dist").absolute()
    output.mkdir(parents=True, exist_ok=True)
    seconds = seconds_of(root)
    version = given.version or version_of(root, seconds)
    try:
        for name in given.architectures or TARGETS:
            with tempfile.TemporaryDirectory(prefix="localctl-package-") as folder:
                stage(root, TARGETS[name], version, seconds, Path(folder), root / ".venv/cache/wheels")
                deb = pack(TARGETS[name], version, seconds, Path(folder), output)
            print(f"{deb}  {deb.stat().st_size / 1_000_000:.1f} MB  SHA-256 {wheels.sha256(deb)}")
    except wheels.PackageError as fault:
        sys.exit(f"deploy/package.sh: {fault}")


if __name__ == "__main__":
    main()
