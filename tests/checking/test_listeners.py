"""Addresses and what is served there; each case on a machine as it may be is in tests/test_checks.py."""

import socket

import pytest

from localctl.checking.listeners import address_free, served
from localctl.checking.verdict import Check
from localctl.config import Config, parse
from localctl.values import Address


def config(**sections: dict[str, object]) -> Config:
    """The smallest configuration, with these sections."""
    return parse({"controller": {"identity": "LC"}, "csms": {"url": "ws://csms.example"}} | sections, "c", {})


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_free_address_is_left_free(host: str) -> None:
    """It is tried and let go: trying again finds it free once more, and somebody else can have it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as taken:
        address = Address(host, taken.getsockname()[1])
        assert address_free("stations.wss.listen", address).what == f"stations.wss.listen: {address} is in use"
    expected = Check("ok", f"stations.wss.listen: {address} is free")
    assert [address_free("stations.wss.listen", address) for _ in range(2)] == [expected, expected]


@pytest.mark.parametrize(
    "stations", [{"ws": {}}, {"wss": {"cert_file": "/c", "key_file": "/k"}}], ids=["without TLS", "with TLS"]
)
def test_either_listener_serves_stations(stations: dict[str, object]) -> None:
    """Neither is missed while the other is there; without both no station can connect."""
    publish: dict[str, object] = {"host": "gateway.lan", "http": {}}
    assert {check.verdict for check in served(config(stations=stations, publish=publish))} == {"ok"}
    assert next(iter(served(config(publish=publish)))) == Check(
        "warn", "stations: no station can connect", "Add [stations.ws] or [stations.wss]."
    )
