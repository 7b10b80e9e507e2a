"""What is said before and after."""

from dataclasses import replace
from pathlib import Path

import pytest

from localctl.setup.outcome import Outcome
from localctl.setup.place import Service
from localctl.setup.words import low_ports, next_steps, station_urls, summary

CONFIG = Path("/etc/localctl/config.toml")


def steps(path: Path = CONFIG, status: int = 0, *, low: bool = True, **differs: bool) -> str:
    """What to do next, where both units are installed and nothing runs."""
    there = Service(booted=True, installed=True, socket=True, enabled=False, active=False)
    return "\n".join(next_steps(path, str(CONFIG), status, replace(there, **differs), low=low))


def test_the_summary_is_what_the_file_says() -> None:
    """Key by key in their sections, first who we are and where the CSMS is; sections that go."""
    before: dict[str, object] = {"publish": {"ftp": {}}}
    tree = {
        "publish": {"host": "10.0.0.1", "http": {"listen": "x"}},
        "csms": {"url": "ws://x", "ca_file": ""},
        "controller": {"identity": "LC"},
    }
    values = {
        "publish.http.listen": "x",
        "publish.host": "10.0.0.1",
        "csms.url": "ws://x",
        "csms.ca_file": "",
        "controller.identity": "LC",
    }
    assert list(summary(before, tree, Outcome(values, ("publish.ftp", "stations.wss")))) == [
        "[controller]", 'identity = "LC"', "[csms]", 'url = "ws://x"', "[publish]", 'host = "10.0.0.1"',
        "[publish.http]", 'listen = "x"',
        "without [publish.ftp]",
    ]  # fmt: skip


def test_stations_are_given_the_csms_s_path_on_this_gateway() -> None:
    """Each listener's URL, its port left out where it is the scheme's own."""
    tree = {
        "csms": {"url": "wss://csms:9000/ocpp/v1/"},
        "stations": {"ws": {"listen": "0.0.0.0:80"}, "wss": {"listen": "0.0.0.0:8443"}},
    }
    assert station_urls(tree, "10.0.0.1") == ("ws://10.0.0.1/ocpp/v1/IDENTITY", "wss://10.0.0.1:8443/ocpp/v1/IDENTITY")
    assert station_urls(tree, "fd00::1")[0] == "ws://[fd00::1]/ocpp/v1/IDENTITY"
    assert station_urls({"csms": {"url": "ws://x"}}, "x") == ()


def test_what_to_do_next() -> None:
    """Start it, with its sockets where there are; restart it where it runs; by hand where systemd does not."""
    assert "systemctl enable --now localctl.socket localctl\n" in steps()
    assert "systemctl enable --now localctl\n" in steps(socket=False)
    assert "systemctl restart localctl\n" in steps(active=True)
    assert steps(Path("/tmp/c.toml")).count(" --config /tmp/c.toml") == 2
    assert "localctl run\n" in steps(installed=False)
    assert "localctl run\n" in steps(booted=False)
    assert steps(status=1).startswith("Mend what FAILs above; then: localctl check\n")


def test_the_socket_unit_takes_no_ports_that_are_not_needed() -> None:
    """It is enabled where a listener is below 1024 only; where it is already and none is, it lets go of 80 and 443."""
    assert "systemctl enable --now localctl\n" in steps(low=False)
    freed = steps(low=False, enabled=True, active=True).splitlines()
    assert freed[0].endswith(": systemctl disable --now localctl.socket")
    assert freed[1].endswith(": systemctl restart localctl")
    assert "systemctl enable localctl.socket\n" in steps(active=True)
    assert "localctl.socket" not in steps(active=True, enabled=True)


@pytest.mark.parametrize(
    ("tree", "low"),
    [
        ({"publish": {"http": {"listen": "0.0.0.0:80"}}}, True),
        ({"stations": {"wss": {"listen": "0.0.0.0:443"}}}, True),
        (
            {"publish": {"ftp": {"listen": "0.0.0.0:2121"}, "http": {}}, "stations": {"ws": {"listen": "[::]:8887"}}},
            False,
        ),
        ({"publish": {"http": {"listen": "0.0.0.0:0"}}, "admin": {"listen": "127.0.0.1:99"}}, False),
    ],
)
def test_low_ports_are_those_of_stations(tree: dict[str, object], *, low: bool) -> None:
    """Below 1024, of any listener that systemd can hand over."""
    assert low_ports(tree) is low
