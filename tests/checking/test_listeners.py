"""Addresses; each case on a machine as it may be is in tests/test_checks.py."""

import os
import socket

import pytest

from localctl.checking.holders import Handed
from localctl.checking.listeners import address_free
from localctl.checking.running import Running
from localctl.checking.verdict import Check
from localctl.values import Address

KEY = "stations.wss.listen"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_free_address_is_left_free(host: str) -> None:
    """It is tried and let go: trying again finds it free once more, and somebody else can have it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as taken:
        address = Address(host, taken.getsockname()[1])
        held = address_free(KEY, address)
        assert held.what.startswith(f"{KEY}: {address} is in use by ")
        assert held.what.endswith(f"(process {os.getpid()})")
    expected = Check("ok", f"{KEY}: {address} is free")
    assert [address_free(KEY, address) for _ in range(2)] == [expected, expected]


def test_an_address_of_the_daemon_that_runs() -> None:
    """It is as it should be, as is the port that a 0 became; another listener's, or another port, is somebody's."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        running = Running({}, 1, {"stations.wss": f"[::]:{port}"})
        for asked in (port, 0):
            address = Address("127.0.0.1", asked)
            expected = Check("ok", f"{KEY}: {address} is in use by localctl, which is running")
            assert address_free(KEY, address, running) == expected
        address = Address("127.0.0.1", port)
        assert address_free("publish.http.listen", address, running).verdict == "FAIL"
        changed = Running({}, 1, {"stations.wss": "127.0.0.1:1"})
        assert address_free(KEY, address, changed).verdict == "FAIL"


def test_an_address_that_systemd_holds_for_us() -> None:
    """localctl.socket has it, and will hand it over."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        assert address_free(KEY, address, None, Handed(frozenset({address.port}), held=True)) == Check(
            "ok", f"{KEY}: {address} is held by systemd (localctl.socket), which hands it over to localctl"
        )
        assert address_free(KEY, address, None, Handed(frozenset({address.port}))).verdict == "FAIL"


def test_an_address_that_systemd_will_hold_for_us(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first start root is told that localctl.socket will have the low port, and warned where it will not."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        address = Address("127.0.0.1", found.getsockname()[1])
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("localctl.checking.listeners._first_for_all", lambda: 65536)
    assert address_free(KEY, address, None, Handed(frozenset({address.port}))) == Check(
        "ok", f"{KEY}: {address} is free; systemd (localctl.socket) hands it over when localctl starts"
    )
    assert address_free(KEY, address).verdict == "warn"


def test_admin_on_the_network_is_told_while_it_runs() -> None:
    """That it is ours makes it no safer."""
    running = Running({}, 1, {"admin": "0.0.0.0:9188"})
    assert address_free("admin.listen", Address("0.0.0.0", 9188), running).verdict == "warn"
