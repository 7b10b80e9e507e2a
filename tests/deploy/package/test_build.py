"""The package itself. It is built with --all only: the first time it downloads every wheel of every Python."""

import json
import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

from deploy.package.lock import needed, parse
from deploy.package.targets import PYTHONS, TARGETS
from tests.conftest import ALL

ROOT: Final = Path(__file__).parents[3]
BUILD_SECONDS: Final = 900  # a first download, over a slow link


def build(arch: str, output: Path) -> Path:
    """The .deb."""
    line = ["sh", str(ROOT / "deploy/package.sh"), "--output", str(output), "--version", "1.0~test", arch]
    environ = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
    done = subprocess.run(line, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False, env=environ)
    assert done.returncode == 0, done.stderr
    [deb] = output.glob("*.deb")
    assert str(deb) in done.stdout
    return deb


if ALL:

    @pytest.mark.timeout(4 * BUILD_SECONDS)
    @pytest.mark.parametrize("arch", TARGETS)
    def test_package(tmp_path: Path, arch: str) -> None:
        """Two builds are equal; lintian has nothing to say; what is carried is what is locked, and is billed."""
        deb, again = build(arch, tmp_path / "one"), build(arch, tmp_path / "two")
        assert deb.read_bytes() == again.read_bytes()
        lintian = subprocess.run(
            ["lintian", "--fail-on=error,warning", str(deb)], capture_output=True, text=True, check=False
        )
        assert (lintian.returncode, lintian.stdout) == (0, "")
        tree = tmp_path / "tree"
        subprocess.run(["dpkg-deb", "-x", str(deb), str(tree)], check=True)
        assert (tree / "etc/localctl/config.toml").stat().st_mode & 0o777 == 0o640
        assert (tree / "usr/share/doc/localctl/prometheus/localctl.rules.yml").is_file()
        bill = json.loads((tree / "usr/share/doc/localctl/sbom.cdx.json").read_text(encoding="utf-8"))
        billed = {each["name"]: each["version"] for each in bill["components"]}
        locked = parse((ROOT / "deploy/requirements.lock").read_text(encoding="utf-8"))
        target = TARGETS[arch]
        wanted = {each.name: each.version for python in PYTHONS for each in needed(locked, python, target.machine)}
        assert billed == {name: version for name, version in wanted.items() if target.carries(name)}
        copyrights = (tree / "usr/share/doc/localctl/copyright").read_text(encoding="utf-8")
        assert [name for name in billed if f"\nLicense: {name}\n" not in copyrights] == []

    def test_an_unknown_architecture_is_told(tmp_path: Path) -> None:
        """With those that are known, and before anything is made."""
        line = ["sh", str(ROOT / "deploy/package.sh"), "--output", str(tmp_path / "out"), "sparc"]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "sparc: not one of amd64, arm64, armhf" in done.stderr
        assert not (tmp_path / "out").exists()
