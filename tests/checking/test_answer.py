"""What a CSMS says to our identity and password, against a CSMS on ``websockets``."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from localctl.checking.answer import advice, ask, told
from localctl.checking.verdict import Check
from tests.actors.authority import Authority
from tests.actors.csms import Csms
from tests.actors.greeter import greeting, listening
from tests.checking.site import config

PASSWORD = "geheim-0815-geheim"
LC = "LC-0001"


async def asked(url: str, **csms: Any) -> tuple[Check, str]:
    """What is found, and the Date; the password is in neither."""
    answer = await asyncio.to_thread(ask, config(url, csms=csms))
    assert answer
    assert PASSWORD not in str(answer)
    assert (answer.check.verdict == "ok") == (not answer.check.advice)
    return answer.check, answer.date


async def test_who_is_let_in(tmp_path: Path) -> None:
    """The handshake is the controller's own, and its end an orderly one."""
    authority = Authority(tmp_path)
    async with Csms(passwords={LC: PASSWORD}, tls=authority.server(demanding=True)) as csms:
        own = authority.issue("own", "LC-0001")
        check, date = await asked(csms.url, basic_auth_password=PASSWORD, ca_file=authority.file, **own)
        assert check == Check("ok", f"csms: it lets {LC} in with our password and our certificate, on OCPP 2.1")
        assert abs((parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()) < 3600
        await csms.until(lambda: csms.links[0].closed)
        assert csms.links[0].closed == (1000, "")
        [handshake] = csms.handshakes
        assert handshake.path == f"/ocpp/{LC}"
        assert handshake.headers["Sec-WebSocket-Protocol"] == "ocpp2.1, ocpp2.0.1"


async def test_a_certificate_that_is_missing(tmp_path: Path) -> None:
    """With TLS 1.3 a CSMS ends it only after its own handshake, when ours of WebSocket is under way: with an alert, or
    without a word, as asyncio's servers do.
    """
    authority = Authority(tmp_path)
    tls = authority.server(demanding=True)
    async with Csms(tls=tls) as csms:
        check, _ = await asked(csms.url, ca_file=authority.file)
    assert "it ends the connection as soon as TLS is there" in check.what
    assert check.advice.startswith("Security profile 3 needs csms.cert_file and key_file")
    with listening(greeting(tls)) as (host, port):
        check, _ = await asked(f"wss://{host}:{port}/ocpp", ca_file=authority.file)
    assert "it wants a certificate of ours: set cert_file and key_file" in check.what
    assert check.advice.startswith("Security profile 3 needs csms.cert_file and key_file")


async def test_a_password_that_is_wrong_or_missing() -> None:
    """Each has its own advice, and the CSMS's clock is told all the same."""
    async with Csms(passwords={LC: PASSWORD}) as csms:
        check, date = await asked(csms.url, basic_auth_password="something-else-0815")
        assert check.verdict == "FAIL"
        assert check.what == f"csms: the CSMS refused our identity or password: HTTP 401, to {LC} at {csms.url}"
        assert check.advice.startswith("Compare controller.identity and csms.basic_auth_password")
        assert date
        check, _ = await asked(csms.url)
        assert check.advice.startswith("No password is set here")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "It takes this for no OCPP connection"),
        (403, "ask the operator whether this identity may connect"),
        (404, "Nothing is there. Is the path in csms.url"),
        (407, "A proxy stands in between"),
        (426, "It takes this for no WebSocket"),
        (429, "wait some minutes"),
        (503, "is in trouble"),
    ],
)
async def test_refusals(status: int, words: str) -> None:
    """Each status of HTTP with its own advice."""
    async with Csms() as csms:
        csms.refusals[LC] = status
        check, _ = await asked(csms.url)
    assert check.verdict == "FAIL"
    assert f"HTTP {status}" in check.what
    assert words in check.advice


async def test_a_redirect_is_not_followed() -> None:
    """Where it leads is told, without what may be a secret in it; the password goes nowhere else."""

    def elsewhere(connection: ServerConnection, _: Request) -> Response:
        answer = connection.respond(HTTPStatus.MOVED_PERMANENTLY, "")
        answer.headers["location"] = "wss://geheim@other.example/ocpp?token=geheim"  # in small letters, as Envoy's
        return answer

    check, _ = await served(elsewhere)
    assert check.what.endswith("and sends us to wss://other.example/ocpp")
    assert "write the true URL into csms.url" in check.advice


async def test_headers_that_no_server_should_send() -> None:
    """A Date that comes twice, of a proxy as well, and a Location that is no URL, are no traceback."""

    def oddly(connection: ServerConnection, _: Request) -> Response:
        answer = connection.respond(HTTPStatus.FOUND, "")
        answer.headers["Date"] = "another"
        answer.headers["Location"] = "http://[nowhere"
        return answer

    check, date = await served(oddly)
    assert check.what.endswith("and sends us to what is no URL")
    assert parsedate_to_datetime(date).tzinfo


async def test_no_common_version() -> None:
    """101 without a subprotocol is no connection of OCPP."""
    async with Csms(subprotocols=("ocpp1.6",)) as csms:
        check, _ = await asked(csms.url)
    assert "the CSMS chose none of OCPP 2.1, 2.0.1" in check.what
    assert check.advice.startswith("Have the operator enable OCPP 2.1, 2.0.1 for it")


async def test_a_csms_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for longer than a check may take."""
    monkeypatch.setattr("localctl.checking.answer.SECONDS", 0.05)
    answered = asyncio.Event()

    async def never(_: ServerConnection, __: Request) -> None:
        await answered.wait()

    check, date = await served(never)
    answered.set()
    assert "did not answer in time" in check.what
    assert "says nothing" in check.advice
    assert date == ""


async def test_files_of_ours_that_do_not_load_are_told_elsewhere() -> None:
    """Nothing is tried with them."""
    assert await asyncio.to_thread(ask, config("wss://127.0.0.1:9/ocpp", csms={"ca_file": "/nonexistent"})) is None


async def served(door: Callable[[ServerConnection, Request], Response | Awaitable[None]]) -> tuple[Check, str]:
    """What is found of a server that meets handshakes like that."""

    async def attend(_: ServerConnection) -> None:
        """Nobody gets here."""

    async with serve(attend, "127.0.0.1", 0, process_request=door) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        return await asked(f"ws://127.0.0.1:{port}/ocpp", basic_auth_password=PASSWORD)


def test_what_the_daemon_says() -> None:
    """Connected and accepted, connected and not, and not connected, with the advice of the status in its words."""
    up = {"connected": True, "since": 1000.0, "ocpp_version": "2.1", "registration": "Accepted", "last_error": ""}
    assert told(config(), up, 4661.0) == Check(
        "ok", "csms: localctl runs, and is connected for 01:01:01 on OCPP 2.1; it was not disturbed"
    )
    pending = told(config(), {**up, "registration": "Pending"}, 4661.0)
    assert (pending.verdict, pending.what.rpartition("; ")[2]) == ("warn", "its BootNotification was answered Pending")
    refused = "the CSMS refused our identity or password: HTTP 403"
    down = told(config(), {"connected": False, "last_error": refused}, 4661.0)
    assert down == Check("FAIL", f"csms: localctl runs and is not connected: {refused}", advice("", 403, config().csms))
    assert "still connecting" in told(config(), {}, 4661.0).what


@pytest.mark.parametrize("reason", ["tls", "timeout", "refused", "dns", "protocol", "closed"])
def test_every_reason_has_advice(reason: str) -> None:
    """Also what is no answer of HTTP."""
    assert advice(reason, 0, config().csms)
    assert advice(reason, 418, config().csms)
