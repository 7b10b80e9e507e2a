"""The steps towards a CSMS, in their order, and where they stop."""

import asyncio
import time
from pathlib import Path

import pytest

from localctl.checking.csms import tried
from localctl.checking.running import Running
from localctl.config import load
from tests.actors.authority import Authority
from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.greeter import listening, plain
from tests.checking.site import config, lines

LC = "LC-0001"


async def found(url: str, running: Running | None = None, **csms: object) -> list[str]:
    """What is found, the time of day and the port left out."""
    settings = config(url, csms=dict(csms))
    told = await asyncio.to_thread(lambda: lines(tried(settings, running, time.time, {})))
    return [line.partition(" port ")[0] if " port " in line else line.partition(", ")[0] for line in told]


async def test_all_steps(tmp_path: Path) -> None:
    """TCP, TLS with the certificate, our credentials, the clock; an address needs no DNS."""
    authority = Authority(tmp_path)
    async with Csms(tls=authority.server()) as csms:
        assert await found(csms.url, ca_file=authority.file) == [
            "ok csms.url: 127.0.0.1",
            "ok csms.url: 127.0.0.1",
            "ok csms.url: 127.0.0.1",
            f"ok csms: it lets {LC} in without a password",
            "ok clock: it agrees with the CSMS's",
        ]


async def test_names_are_resolved() -> None:
    """A name leads to addresses, each of which is tried: localhost has nothing on IPv6 here, or it has."""
    async with Csms() as csms:
        told = await found(csms.url.replace("127.0.0.1", "localhost"))
    assert told[0].startswith("ok csms.url: localhost resolves to ")
    assert f"ok csms: it lets {LC} in without a password" in told


async def test_a_name_that_does_not_exist_is_the_end() -> None:
    """.invalid never resolves (RFC 2606); nothing behind it can be tried."""
    [line] = await found("ws://csms.invalid/ocpp")
    assert line.startswith("FAIL csms.url: csms.invalid ")


async def test_a_handshake_of_tls_that_fails_is_the_end(tmp_path: Path) -> None:
    """No password is sent where TLS does not protect it."""
    async with Csms(tls=Authority(tmp_path).server()) as csms:
        told = await found(csms.url)
        assert [line.split()[0] for line in told] == ["ok", "FAIL"]
        assert not csms.handshakes


async def test_what_is_no_csms() -> None:
    """A web server there answers 400."""
    with listening(plain) as (host, port):
        told = await found(f"ws://{host}:{port}/ocpp")
    assert told[1].startswith("FAIL csms: the CSMS answered HTTP 400")


async def test_a_connection_of_the_daemon_s_is_not_displaced(tmp_path: Path) -> None:
    """A CSMS has one connection an identity: the daemon's, which tells of itself; the time is asked all the same."""
    async with Csms() as csms, Daemon(tmp_path, csms.url) as daemon:
        await daemon.ready()
        settings = load(daemon.config_file)
        running = Running(await daemon.status(), daemon.pid, daemon.listeners)
        told = await asyncio.to_thread(lambda: lines(tried(settings, running, time.time, {})))
        assert told[0].startswith("ok csms: localctl runs, and is connected for 00:0")
        assert told[-1].startswith("ok clock: it agrees with the CSMS's")
        assert [handshake.identity for handshake in csms.handshakes] == [LC, ""]
        assert not csms.links[0].closed


@pytest.mark.parametrize("silent", [{}, {"uplink": {"connected": False, "last_error": "HTTP 403"}}])
async def test_a_daemon_that_is_not_connected(silent: dict[str, dict[str, object]]) -> None:
    """It may connect at any moment: it says what it was told, where it answers, and the CSMS is not asked."""
    async with Csms() as csms:
        told = await found(csms.url, Running(silent, 1, {}))
        assert [line for line in told if line.startswith("FAIL csms: ")] == (
            ["FAIL csms: localctl runs and is not connected: HTTP 403"] if silent else []
        )
        assert [handshake.identity for handshake in csms.handshakes] == [""]  # what asks the time names nobody


async def test_a_proxy_in_the_environment_is_told() -> None:
    """Whoever set it expects it to be taken."""
    settings = config("ws://csms.invalid/ocpp")
    told = await asyncio.to_thread(lambda: lines(tried(settings, None, time.time, {"https_proxy": "http://p"})))
    assert told[0] == "warn environment: https_proxy is set, and localctl takes no proxy"
