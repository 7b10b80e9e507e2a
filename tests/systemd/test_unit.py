"""The systemd units, as systemd itself reads them and as localctl behaves."""

import re
import subprocess
from pathlib import Path

import pytest

from localctl.config import DEFAULT_PATH
from localctl.errors import ConfigurationError
from localctl.sections import Controller
from localctl.systemd import socket_path

UNIT = Path(__file__).parents[2] / "systemd" / "localctl.service"
SOCKET = UNIT.with_suffix(".socket")
SCORES = {"as it is, for localctl.socket": 1.1, "with the right to low ports": 1.4}


def settings(name: str, unit: Path = UNIT) -> list[str]:
    """The values of the unit's lines ``name=``."""
    return re.findall(rf"^{name}=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)


def setting(name: str) -> str:
    """The value of the unit's only line ``name=``."""
    [value] = settings(name)
    return str(value)


def uncommented(folder: Path, names: str = r"[A-Z]\w+") -> Path:
    """The unit with every setting that stands in it as a comment, and whose name is one of ``names``."""
    path = folder / UNIT.name
    path.write_text(re.sub(rf"^#(?=({names})=)", "", UNIT.read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert path.read_text() != UNIT.read_text()
    return path


def verified(*units: Path) -> tuple[int, str, str]:
    """What ``systemd-analyze verify`` makes of units: its status, and what it says."""
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def exposure(unit: Path) -> float:
    """What ``systemd-analyze security`` makes of it, on a scale from 0 to 10."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"LC_ALL": "C.UTF-8"})
    [score] = re.findall(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    return float(score)


def test_systemd_finds_nothing_wrong() -> None:
    """``systemd-analyze verify`` is silent, also where localctl is not installed."""
    assert verified(UNIT, SOCKET) == (0, "", "")


def test_systemd_finds_nothing_wrong_with_what_is_commented_out(tmp_path: Path) -> None:
    """The lines that an installer may bring to life are as right as the others."""
    assert verified(uncommented(tmp_path)) == (0, "", "")


def test_service_needs_no_socket_unit(tmp_path: Path) -> None:
    """Where localctl.socket is not installed the service binds its ports itself."""
    alone = tmp_path / UNIT.name
    alone.write_text(UNIT.read_text(encoding="utf-8"))
    assert verified(alone) == (0, "", "")
    assert SOCKET.name not in " ".join(line for line in alone.read_text().splitlines() if not line.startswith("#"))


@pytest.mark.parametrize("case", SCORES)
def test_sandbox_is_tight(tmp_path: Path, case: str) -> None:
    """An exposure of 1.1 with sockets handed over, and of 1.4 with the right to bind low ports."""
    low = r"CapabilityBoundingSet|AmbientCapabilities|PrivateUsers"
    unit = UNIT if SCORES[case] == 1.1 else uncommented(tmp_path, low)
    assert exposure(unit) <= SCORES[case]


def test_sockets_of_the_unit() -> None:
    """The ports that stations know, for IPv4 and IPv6; the service brings the enabled unit back where it has failed."""
    assert settings("ListenStream", SOCKET) == ["21", "80", "443", "8887"]
    assert settings("BindIPv6Only", SOCKET) == ["both"]
    assert settings("WantedBy", SOCKET) == ["sockets.target localctl.service"]


def test_restarts_of_a_crash_are_no_trigger_limit() -> None:
    """What ends at once is started by stations less often than a service that crashes is started by systemd."""
    [burst], [interval] = settings("TriggerLimitBurst", SOCKET), settings("TriggerLimitIntervalSec", SOCKET)
    assert int(interval) / int(burst) < int(setting("RestartSec"))


def test_unit_agrees_with_localctl() -> None:
    """The paths are the defaults of the configuration, and what ends for good is not started again."""
    assert setting("ExecStart").endswith(f" localctl run --config {DEFAULT_PATH}")
    assert f"/var/lib/{setting('StateDirectory')}" == Controller.model_fields["state_dir"].default
    assert str(ConfigurationError.exit_status) in setting("RestartPreventExitStatus").split()
    assert socket_path("", {"RUNTIME_DIRECTORY": f"/run/{setting('RuntimeDirectory')}"}) == Path(
        "/run/localctl/localctl.sock"
    )
    assert setting("Type") == "notify"
    assert setting("ExecReload") == """/bin/sh -c 'kill -HUP "$MAINPID"'"""  # row 35; without procps too
    assert int(setting("TimeoutStopSec")) > 20  # running transfers get up to 20 s (faults, row 34)
    assert int(setting("WatchdogSec")) > 0  # row 39
