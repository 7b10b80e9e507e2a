"""Names, addresses and proxies on the way to the CSMS."""

import errno
import os
import socket
import threading

import pytest

from localctl.checking import way
from localctl.checking.way import Place, addresses, proxies, reach, reached, resolved
from tests.checking.site import lines

CSMS = Place("csms.example", 443, encrypted=True)


def fault(number: int) -> OSError:
    """As the kernel raises it."""
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("wss://csms.example/ocpp", CSMS),
        ("ws://csms.example:81", Place("csms.example", 81, encrypted=False)),
        ("ws://[::1]/x", Place("::1", 80, encrypted=False)),
    ],
)
def test_where_a_url_leads(url: str, place: Place) -> None:
    """The port is the scheme's own where none is written."""
    assert Place.of(url) == place


def test_a_proxy_is_told_and_its_password_is_not() -> None:
    """Names of variables alone; an empty one is none."""
    found = lines(proxies({"HTTPS_PROXY": "http://u:geheim@p", "all_proxy": "x", "HTTP_PROXY": "", "no_proxy": "y"}))
    assert found == ["warn environment: HTTPS_PROXY, all_proxy is set, and localctl takes no proxy"]
    assert not lines(proxies({"PATH": "/bin"}))


def test_names() -> None:
    """Each address; a name that is not there; nothing of an address."""
    assert lines(resolved(CSMS, ["192.0.2.1", "2001:db8::1"])) == [
        "ok csms.url: csms.example resolves to 192.0.2.1, 2001:db8::1"
    ]
    assert lines(resolved(CSMS, socket.gaierror(-2, "Name or service not known"))) == [
        "FAIL csms.url: csms.example does not resolve: Name or service not known"
    ]
    assert lines(resolved(CSMS, TimeoutError())) == ["FAIL csms.url: csms.example is not resolved within 4 s"]
    assert lines(resolved(CSMS, UnicodeError())) == [
        "FAIL csms.url: csms.example does not resolve: it is no name that could exist"
    ]
    assert not lines(resolved(Place("192.0.2.1", 80, encrypted=False), ["192.0.2.1"]))


def test_a_resolver_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for."""
    never = threading.Event()
    monkeypatch.setattr(way, "RESOLVE_SECONDS", 0.01)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: never.wait())
    with pytest.raises(TimeoutError):
        addresses(CSMS)
    never.set()


def test_addresses_of_this_machine() -> None:
    """A real name, and real ports: one that answers, one that refuses."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        there, refusing = (Place("127.0.0.1", each.getsockname()[1], encrypted=False) for each in (server, silent))
        assert addresses(there) == ["127.0.0.1"]
        [took] = reach(there, ["127.0.0.1"])
        assert isinstance(took, float)
        assert lines(reached(refusing, ["127.0.0.1"], reach(refusing, ["127.0.0.1"]))) == [
            f"FAIL csms.url: 127.0.0.1 port {refusing.port} does not answer: Connection refused"
        ]


def test_one_address_that_answers_is_enough() -> None:
    """Another that does not is a warning; IPv6 without a route is no fault of anybody's; without any it is a FAIL."""
    four, six, more = "192.0.2.1", "2001:db8::1", "192.0.2.2"
    what = "csms.url: csms.example port 443 at"
    assert lines(reached(CSMS, [four, six, more], [0.012, fault(errno.ENETUNREACH), TimeoutError()])) == [
        f"ok {what} 192.0.2.1 answers, after 12 ms",
        f"ok {what} 2001:db8::1 is not reached: this machine has no IPv6 way out, and needs none",
        f"warn {what} 192.0.2.2 does not answer: nothing came within 4 s",
    ]
    alone = list(reached(CSMS, [six], [fault(errno.ENETUNREACH)]))
    assert lines(alone) == [
        "FAIL csms.url: csms.example port 443 at 2001:db8::1 does not answer: Network is unreachable"
    ]
    assert "ip route" in alone[0].advice
