"""What stations are told; each case on a machine as it may be is in tests/test_checks.py."""

import socket
from pathlib import Path

import pytest

from localctl.checking.published import resolves, served
from localctl.checking.verdict import Check
from tests.actors.authority import Authority
from tests.checking.site import config, lines

WS: dict[str, object] = {"ws": {}}


@pytest.mark.parametrize(
    "stations", [WS, {"wss": {"cert_file": "/c", "key_file": "/k"}}], ids=["without TLS", "with TLS"]
)
def test_either_listener_serves_stations(stations: dict[str, object]) -> None:
    """Neither is missed while the other is there; without both no station can connect."""
    publish: dict[str, object] = {"host": "gateway.lan", "http": {}}
    assert {check.verdict for check in served(config(stations=stations, publish=publish))} == {"ok"}
    assert next(iter(served(config(publish=publish)))) == Check(
        "warn", "stations: no station can connect", "Add [stations.ws] or [stations.wss]."
    )


@pytest.mark.parametrize("host", ["192.0.2.77", "2001:db8::77"])
def test_an_address_of_another_machine_is_a_warning(host: str) -> None:
    """Stations are sent to whoever has it (documentation's own addresses: RFC 5737, RFC 3849)."""
    assert lines(served(config(stations=WS, publish={"host": host, "http": {}}))) == [
        f"warn publish.host: stations are told {host}, which is no address of this machine"
    ]


def test_a_certificate_for_another_host_is_a_warning(tmp_path: Path) -> None:
    """That of [publish.https] is for the host in the URIs; one that is missing is told elsewhere."""
    own = Authority(tmp_path).issue("own")
    publish: dict[str, object] = {"host": "gateway.lan", "https": {**own}}
    assert lines(served(config(stations=WS, publish=publish)))[1:] == [
        "warn publish.https.cert_file: it is for 127.0.0.1, and stations are told gateway.lan"
    ]
    publish["host"] = "127.0.0.1"
    assert len(lines(served(config(stations=WS, publish=publish)))) == 1
    (tmp_path / "own.pem").unlink()
    assert len(lines(served(config(stations=WS, publish=publish)))) == 1


def test_names_that_lead_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that resolves to this machine is none to tell of; another, or one that does not resolve, is a warning."""
    assert not lines(resolves(config(publish={"host": "localhost"})))
    assert not lines(resolves(config(publish={"host": "192.0.2.77"})))
    assert not lines(resolves(config()))
    told = "warn publish.host: stations are told gateway.invalid, which "
    invalid = config(publish={"host": "gateway.invalid"})
    assert lines(resolves(invalid)) == [f"{told}does not resolve here"]
    address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.77", 0))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address])
    assert lines(resolves(invalid)) == [f"{told}leads to 192.0.2.77, not to this machine"]
