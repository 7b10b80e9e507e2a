"""/api/events and the password of the admin listener, asked of the real daemon as scripts and Prometheus ask."""

import asyncio
import json
from typing import Any

import aiohttp

from tests.actors.site import OpenSite
from tests.actors.station import Station
from tests.test_cli import localctl

SECRET = "geheim-0815"


async def _event(answer: aiohttp.ClientResponse) -> tuple[str, dict[str, Any]]:
    """The next event: its name, and the object that it carries."""
    while True:
        lines = (await answer.content.readuntil(b"\n\n")).decode().splitlines()
        if lines[0].startswith("event: "):
            return lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))


async def test_the_status_as_it_changes(open_site: OpenSite) -> None:
    """The whole document once, then what has changed: a station that comes and goes. A stop ends the stream."""
    site = await open_site()
    async with (
        asyncio.timeout(60),
        aiohttp.ClientSession(read_bufsize=2**20) as session,
        session.get(f"{site.daemon.admin_url}/api/events") as answer,
    ):
        name, document = await _event(answer)
        assert name == "status"
        assert set(document) == set(await site.daemon.status())
        async with Station(site.daemon.stations_url, "CS-1", "1.6"):
            await _until(answer, document, ["CS-1"])
        await _until(answer, document, [])
        assert await site.daemon.stop() == 0
        await answer.content.read()


async def _until(answer: aiohttp.ClientResponse, document: dict[str, Any], identities: list[str]) -> None:
    """Take changes in until these are the stations; each names less than everything."""
    while [station["identity"] for station in document["stations"]] != identities:
        name, change = await _event(answer)
        assert name == "change"
        assert set(change) < set(document)
        document |= change


async def test_a_password_for_all_but_the_probes(open_site: OpenSite) -> None:
    """Scripts, Prometheus and `localctl status` need it, probes do not; wrong ones are counted and told without it."""
    site = await open_site(overrides={"admin": {"password": SECRET}})
    for path in ("/", "/page.js", "/metrics", "/api/status", "/api/events"):
        assert (await site.daemon.get(path))[0] == 401
    assert (await site.daemon.get("/healthz"))[0] == 200
    config = str(site.daemon.config_file)
    code, said, _ = await localctl("status", "--config", config)
    assert (code, said.partition(":")[0]) == (0, "LC-0001")
    wrong = {"Authorization": aiohttp.encode_basic_auth("admin", "a-wrong-guess")}
    right = {"Authorization": aiohttp.encode_basic_auth("admin", SECRET)}
    async with aiohttp.request("GET", f"{site.daemon.admin_url}/metrics", headers=wrong) as answer:
        assert answer.status == 401
    async with aiohttp.request("GET", f"{site.daemon.admin_url}/metrics", headers=right) as answer:
        assert 'localctl_auth_failures_total{listener="admin"} 1.0' in await answer.text()
    await site.daemon.logged("has sent a wrong user or password to admin.listen")
    log = "\n".join(site.daemon.runs[-1].err)
    assert "a-wrong-guess" not in log
    assert SECRET not in log
    site.daemon.configure({"admin": {"password": "another"}})
    code, _, told = await localctl("status", "--config", config)
    assert (code, "wants another password" in told) == (1, True)


async def test_another_name_is_refused(open_site: OpenSite) -> None:
    """A page elsewhere whose name was made to resolve to 127.0.0.1 reads nothing."""
    site = await open_site()
    headers = {"Host": "evil.example"}
    for path in ("/", "/api/status", "/api/events"):
        async with aiohttp.request("GET", site.daemon.admin_url + path, headers=headers) as answer:
            assert answer.status == 421
