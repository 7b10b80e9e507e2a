"""This machine's clock beside a CSMS's."""

import socket
from email.utils import formatdate

import pytest

from localctl.checking.clock import beside, date_of, sane
from localctl.checking.way import Place
from tests.actors.greeter import listening
from tests.checking.site import config, lines

NOW = 1_800_000_000.0


def test_a_clock_that_cannot_be_right() -> None:
    """1970 is before localctl was."""
    assert lines([sane(NOW)]) == ["ok clock: 2027-01-15"]
    assert lines([sane(0)]) == ["warn clock: 1970-01-01 cannot be right"]


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (4, "ok clock: it agrees with the CSMS's, 08:00 UTC"),
        (-30, "ok clock: it is 30 s behind the CSMS's, which does no harm"),
        (61, "warn clock: it is 61 s ahead of the CSMS's"),
        (-86400, "warn clock: it is 86400 s behind the CSMS's"),
    ],
)
def test_beside_the_csms_s(ahead: float, words: str) -> None:
    """Within 5 seconds, within a minute, and beyond."""
    assert lines(beside(formatdate(NOW - ahead, usegmt=True), NOW)) == [words]


@pytest.mark.parametrize("date", ["", "yesterday", f"Thu, {'9' * 20} Jan 2026 00:00:00 GMT"])
def test_without_a_date_nothing_is_said(date: str) -> None:
    """A CSMS need not tell the time."""
    assert not lines(beside(date, NOW))


def test_the_date_is_asked_without_a_name() -> None:
    """A request of HTTP that tells neither who we are nor a password, for where the daemon is connected already."""
    heard = []

    def answer(connection: socket.socket) -> None:
        heard.append(connection.recv(10_000))
        connection.sendall(b"HTTP/1.1 426 Upgrade Required\r\nDate: then\r\nContent-Length: 0\r\n\r\n")

    with listening(answer) as (host, port):
        settings = config(f"ws://{host}:{port}/ocpp", csms={"basic_auth_password": "geheim-0815"})
        assert date_of(settings, Place.of(settings.csms.url)) == "then"
    assert heard[0].startswith(b"HEAD / HTTP/1.1\r\n")
    assert b"LC-0001" not in heard[0]
    assert b"Authorization" not in heard[0]
    assert date_of(settings, Place("127.0.0.1", port, encrypted=False)) == ""
    assert date_of(settings, Place("127.0.0.1", port, encrypted=True)) == ""
