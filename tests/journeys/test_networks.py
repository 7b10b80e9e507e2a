"""publish.allowed_networks: who is in none of them is refused over every protocol, the others are served as ever."""

import asyncio
import ssl
from pathlib import Path

import pytest

from tests.actors.fetch import place
from tests.actors.process import Process
from tests.actors.site import OpenSite, firmware
from tests.actors.wire import Talk, ask, fast_socket, secured

SCHEMES = ("http", "https", "ftp")
FILE = firmware(300_000)


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::]:0"])
async def test_only_the_networks_named_are_served(
    open_serving: OpenSite, trust: ssl.SSLContext, tmp_path: Path, listen: str
) -> None:
    """403 with no body, 421 at the greeting, and closed; nothing lent, each counted, one warning a protocol."""
    own = {"cert_file": str(tmp_path / "own.pem"), "key_file": str(tmp_path / "own.key")}
    sections = {"http": {"listen": listen}, "https": {"listen": listen, **own}, "ftp": {"listen": listen}}
    site = await open_serving(allowed_networks=["127.0.0.2", "192.168.0.0/16", "fd00::/8"], **sections)
    _, uris = await site.published(FILE)

    def stranger() -> None:
        for scheme in ("http", "https"):
            address, path = place(uris, scheme)
            for asked in (path, "/"):
                with fast_socket(address) as plain, secured(plain, scheme, trust) as station:
                    status, headers, body = ask(station, f"GET {asked} HTTP/1.1\nHost: x\n\n")
                assert status == "HTTP/1.1 403 Forbidden"
                assert (headers["Content-Length"], headers["Connection"], body) == ("0", "close", b"")
        for _ in range(2):
            talk = Talk(place(uris, "ftp")[0], login=False)
            assert talk.greeting.startswith("421")
            assert talk.reply() == ""
            talk.close()

    before = site.daemon.descriptors()
    await asyncio.to_thread(stranger)
    await site.daemon.down_to(before)
    for scheme in SCHEMES:
        assert await site.daemon.metric("localctl_firmware_refused_total", protocol=scheme, reason="network") == 2
        assert await site.daemon.metric("localctl_firmware_downloads_total", protocol=scheme, result="aborted") == 0
    for uri in uris:
        command = ("curl", "-sS", "-f", "--interface", "127.0.0.2", "--cacert", str(tmp_path / "ca.pem"))
        assert await (await Process.start([*command, "-o", str(tmp_path / "got"), uri])).over() == 0
        assert (tmp_path / "got").read_bytes() == FILE.body
    told = [record["message"] for record in site.daemon.log if record.get("level") == "warning"]
    refused = "127.0.0.1 is served nothing: it is in none of publish.allowed_networks"
    assert sorted(line for line in told if "allowed_networks" in line) == sorted(f"{one}: {refused}" for one in SCHEMES)
