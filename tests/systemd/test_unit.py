"""The systemd unit, as systemd itself reads it and as localctl behaves."""

import re
import subprocess
from pathlib import Path

import pytest

from localctl.config import DEFAULT_PATH
from localctl.errors import ConfigurationError
from localctl.sections import Controller
from localctl.systemd import socket_path

UNIT = Path(__file__).parents[2] / "systemd" / "localctl.service"


def setting(name: str) -> str:
    """The value of the unit's line ``name=``."""
    [value] = re.findall(rf"^{name}=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    return str(value)


def uncommented(folder: Path) -> Path:
    """The unit with every setting that stands in it as a comment."""
    path = folder / UNIT.name
    path.write_text(re.sub(r"^#(?=[A-Z]\w+=)", "", UNIT.read_text(encoding="utf-8"), flags=re.MULTILINE))
    return path


def test_systemd_finds_nothing_wrong() -> None:
    """``systemd-analyze verify`` is silent, also where localctl is not installed."""
    done = subprocess.run(["systemd-analyze", "verify", str(UNIT)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_systemd_finds_nothing_wrong_with_what_is_commented_out(tmp_path: Path) -> None:
    """The lines that an installer may bring to life are as right as the others."""
    unit = uncommented(tmp_path)
    assert unit.read_text() != UNIT.read_text()
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("commented_out", [True, False])
def test_sandbox_is_tight(tmp_path: Path, *, commented_out: bool) -> None:
    """An exposure of at most 2.0 on systemd's scale from 0 to 10, with the right to low ports as well."""
    unit = UNIT if commented_out else uncommented(tmp_path)
    subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)], capture_output=True, check=True
    )


def test_unit_agrees_with_localctl() -> None:
    """The paths are the defaults of the configuration, and what ends for good is not started again."""
    assert setting("ExecStart").endswith(f" localctl run --config {DEFAULT_PATH}")
    assert f"/var/lib/{setting('StateDirectory')}" == Controller.model_fields["state_dir"].default
    assert str(ConfigurationError.exit_status) in setting("RestartPreventExitStatus").split()
    assert socket_path("", {"RUNTIME_DIRECTORY": f"/run/{setting('RuntimeDirectory')}"}) == Path(
        "/run/localctl/localctl.sock"
    )
    assert setting("Type") == "notify"
    assert setting("ExecReload") == "kill -HUP $MAINPID"  # row 35
    assert int(setting("TimeoutStopSec")) > 20  # running transfers get up to 20 s (faults, row 34)
    assert int(setting("WatchdogSec")) > 0  # row 39
