"""Whether firmware is served where its URIs lead: against a real daemon, and against what is none."""

import asyncio
import shutil
import socket
import ssl
from ftplib import error_temp
from pathlib import Path

import pytest

from localctl.checking.fetching import Uri, met, reached
from localctl.checking.running import Running
from localctl.config import load
from tests.actors.authority import Authority
from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.greeter import listening
from tests.actors.site import OpenSite, firmware
from tests.checking.site import config, lines


async def found(daemon: Daemon) -> list[str]:
    """What is found of a daemon's listeners of firmware, their ports left out."""
    settings = load(daemon.config_file)
    running = Running(await daemon.status(), daemon.pid, daemon.listeners)
    told = await asyncio.to_thread(lambda: lines(reached(settings, running)))
    for bound in daemon.listeners.values():
        told = [line.replace(bound, "HERE") for line in told]
    return told


async def test_every_listener_answers(open_site: OpenSite, tmp_path: Path) -> None:
    """HTTP, HTTPS with its certificate, FTP; with a published file where there is one."""
    https = {"listen": "127.0.0.1:0", **Authority(tmp_path).issue("own")}
    site = await open_site(overrides={"publish": {"https": https}})
    kinds = ("http", "https", "ftp")
    assert await found(site.daemon) == [f"ok publish.{kind}: {kind}://HERE answers" for kind in kinds]
    await site.published(firmware(1000))
    assert await found(site.daemon) == [
        f"ok publish.{kind}: {kind}://HERE answers with a published file" for kind in kinds
    ]


async def test_a_certificate_of_another_name_fails(tmp_path: Path) -> None:
    """Stations that are sent to localhost refuse a certificate of 127.0.0.1."""
    own = Authority(tmp_path).issue("own")
    publish = {"host": "localhost", "http": None, "ftp": None, "https": {"listen": "127.0.0.1:0", **own}}
    async with Csms() as csms, Daemon(tmp_path, csms.url, {"publish": publish}) as daemon:
        await daemon.listening()
        [line] = await found(daemon)
        assert line.startswith("FAIL publish.https: https://localhost:")
        assert "stations refuse its certificate: " in line


async def test_a_host_that_is_not_this_machine_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of ours answers there (127.9.9.9 is loopback, and the listeners are not on it)."""
    async with Csms() as csms, Daemon(tmp_path, csms.url, {"publish": {"host": "127.9.9.9"}}) as daemon:
        await daemon.listening()
        told = await found(daemon)
    assert [line.rpartition(": ")[2] for line in told] == ["Connection refused"] * 2
    shutil.rmtree(tmp_path / "state")
    monkeypatch.setattr("localctl.checking.fetching._SECONDS", 0.05)

    def silent(connection: socket.socket) -> None:
        while connection.recv(1000):
            pass

    with listening(silent) as (host, port):
        running = Running({}, 1, {"publish.http": f"{host}:{port}"})
        [line] = lines(reached(config(publish={"host": host, "http": {}}), running))
    assert line.endswith("does not answer: nothing came within 0.05 s")


def test_what_answers() -> None:
    """Statuses of HTTP and FTP that are as they should be, and one that is not ours."""
    uri, file = Uri("http", "2001:db8::1", 80), Uri("ftp", "192.0.2.1", 21, "/firmware/x/y")
    assert lines([met(uri, 404), met(uri, 503), met(uri, 403), met(file, 200)]) == [
        "ok publish.http: http://[2001:db8::1]:80 answers",
        "ok publish.http: http://[2001:db8::1]:80 answers",
        "ok publish.http: http://[2001:db8::1]:80 answers; it serves stations alone, as publish.allowed_networks asks",
        "ok publish.ftp: ftp://192.0.2.1:21 answers with a published file",
    ]
    assert lines([met(uri, 502)])[0].startswith("FAIL")
    assert lines([met(file, error_temp("421 full"))])[0].startswith("ok")
    assert lines([met(file, error_temp("500 what?"))])[0].startswith("FAIL")
    assert lines([met(uri, ssl.SSLError(1, "wrong version"))])[0].startswith("FAIL")
