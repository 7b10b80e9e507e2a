"""The listeners of a configuration, opened and closed together."""

import asyncio
import errno
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from prometheus_client import CollectorRegistry

from localctl.admin.views import Hands, Views
from localctl.config import Config, parse
from localctl.errors import ConfigurationError, ListenError
from localctl.lan import lan_address
from localctl.listeners import Listeners
from localctl.metrics import Metrics
from localctl.relay.passwords import Passwords
from localctl.store.catalogue import Catalogue
from localctl.values import Address
from localctl.wire import tcp

NOBODY: Any = None
HANDS = Hands(NOBODY, NOBODY, NOBODY)
ANY = {"listen": "127.0.0.1:0"}
ALL: dict[str, Any] = {
    "stations": {"ws": ANY},
    "publish": {"http": ANY, "ftp": {**ANY, "passive_ports": ""}},
    "admin": ANY,
}


@asynccontextmanager
async def opened(
    tmp_path: Path, sections: dict[str, Any], handed_over: tuple[socket.socket, ...] = ()
) -> AsyncIterator[Listeners]:
    """Listeners of a configuration with ``sections``, open."""
    who = {"controller": {"identity": "LC", "state_dir": str(tmp_path)}, "csms": {"url": "ws://127.0.0.1:9/"}}
    config = parse({**who, **sections}, "test", {})
    metrics = Metrics(CollectorRegistry(), "0")
    listeners = Listeners(config, Catalogue(10), None, metrics, handed_over)
    try:
        await listeners.open()
        await listeners.serve(Views(tuple, tuple, dict, lambda: iter(()), lambda: None, metrics.registry), HANDS)
        yield listeners
    finally:
        await listeners.close(0)


async def test_all_of_them(tmp_path: Path) -> None:
    """Each section's listener is bound, and its port is told in the state directory."""
    async with opened(tmp_path, ALL) as listeners:
        told = json.loads((tmp_path / "listeners.json").read_text(encoding="utf-8"))
        assert told.pop("admin.socket") == str(tmp_path / "localctl.sock")
        assert told == {name: str(address) for name, address in listeners.addresses.items()}
        assert set(told) == {"stations.ws", "publish.http", "publish.ftp", "admin"}
        assert [pulse.loop for pulse in listeners.pulses] == ["http", "ftp"]
        async with aiohttp.request("GET", f"http://{told['publish.http']}/") as answer:
            assert answer.status == 404


async def test_only_what_is_configured(tmp_path: Path) -> None:
    """A listener exists where its section exists; [admin] unless its listen is empty."""
    async with opened(tmp_path, {"admin": {"listen": ""}, "publish": {"http": ANY}}) as listeners:
        assert set(listeners.addresses) == {"publish.http"}
        assert listeners.door is None


async def test_a_disk_that_takes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Row 5: where the addresses cannot be written down, the listeners serve all the same, and it is said."""
    (tmp_path / "listeners.new").mkdir()
    async with opened(tmp_path, ALL) as listeners:
        assert set(listeners.addresses) == {"stations.ws", "publish.http", "publish.ftp", "admin"}
    assert "listeners.json cannot be written" in caplog.text


async def test_a_path_too_long_for_a_socket(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said, and all else works."""
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    async with opened(folder, ALL) as listeners:
        assert "admin.socket" not in listeners.told
        assert "admin" in listeners.told
    assert "too long a path for a socket" in caplog.text


async def test_a_listener_of_the_main_loop_without_descriptors(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Row 40: one line that names the key, however often asyncio tells of it; any other fault is told as ever."""
    loop = asyncio.get_running_loop()
    fault = OSError(errno.EMFILE, "Too many open files")
    async with opened(tmp_path, ALL) as listeners:
        with socket.create_server(("127.0.0.1", 0)) as station, socket.socket(socket.AF_UNIX) as admin:
            listeners.addresses["stations.ws"] = tcp.bound(station)
            for sock in (station, admin, station, admin, station):
                listeners.on_loop_fault(loop, {"message": "x", "exception": fault, "socket": sock})
        listeners.on_loop_fault(loop, {"message": "something else"})
    assert [record.getMessage() for record in caplog.records] == [
        "stations.ws.listen takes no connection for want of resources: Too many open files; raise LimitNOFILE",
        "admin.socket takes no connection for want of resources: Too many open files; raise LimitNOFILE",
        "something else",
    ]


async def test_uris(tmp_path: Path) -> None:
    """L03.FR.03, FR.04: a URI for each listener under [publish], http before ftp, on the address bound to."""
    async with opened(tmp_path, ALL) as listeners:
        at = listeners.addresses
        path = f"/firmware/{'a' * 32}/fw.bin"
        assert listeners.uris("a" * 32, "fw.bin") == (
            f"http://{at['publish.http']}{path}",
            f"ftp://{at['publish.ftp']}{path}",
        )


async def test_https_is_told_between_them(tmp_path: Path) -> None:
    """L03.FR.04: http, https, ftp; its listener and its loop are told too."""
    own = trustme.CA().issue_cert("127.0.0.1", key_type=trustme.KeyType.ECDSA).private_key_and_cert_chain_pem
    own.write_to_path(str(tmp_path / "own.pem"))
    https = {**ANY, "cert_file": str(tmp_path / "own.pem"), "key_file": str(tmp_path / "own.pem")}
    publish = {"ftp": {**ANY, "passive_ports": ""}, "https": https, "http": ANY}
    async with opened(tmp_path, {"publish": publish}) as listeners:
        schemes = [uri.partition("://")[0] for uri in listeners.uris("a" * 32, "x")]
        assert schemes == ["http", "https", "ftp"]
        assert [pulse.loop for pulse in listeners.pulses] == schemes


async def test_a_certificate_that_does_not_load(tmp_path: Path) -> None:
    """It is named by its key before anything is bound."""
    https = {**ANY, "cert_file": str(tmp_path / "gone.pem"), "key_file": str(tmp_path / "gone.pem")}
    with pytest.raises(ConfigurationError, match=r"publish\.https\.cert_file: .* cannot be read"):
        async with opened(tmp_path, {"publish": {"https": https}}):
            raise AssertionError("it opened")


async def test_uris_with_the_installers_word(tmp_path: Path) -> None:
    """publish.host is what stations are told, whatever is bound to."""
    async with opened(tmp_path, {"publish": {"host": "gateway.lan", "http": ANY}, "admin": ANY}) as listeners:
        port = listeners.addresses["publish.http"].port
        assert listeners.uris("b" * 32, "x") == (f"http://gateway.lan:{port}/firmware/{'b' * 32}/x",)


@pytest.mark.parametrize(("host", "told"), [("0.0.0.0", None), ("[::]", None), ("192.0.2.7", "192.0.2.7")])
async def test_uris_of_a_socket_that_was_handed_over(tmp_path: Path, host: str, told: str | None) -> None:
    """For every address: stations are told the one that the configuration names, else this machine's on the LAN."""
    with tcp.listen("kept", Address("::", 0)) as kept:
        port = tcp.bound(kept).port
        sections = {"publish": {"http": {"listen": f"{host}:{port}"}}, "admin": ANY}
        async with opened(tmp_path, sections, (kept.dup(),)) as listeners:
            assert listeners.addresses["publish.http"] == Address("::", port)
            where = f"http://{told or lan_address()}:{port}"
            assert listeners.uris("b" * 32, "x") == (f"{where}/firmware/{'b' * 32}/x",)


async def test_a_port_in_use(tmp_path: Path) -> None:
    """One that cannot be bound is named, and what was bound by then is closed."""
    async with opened(tmp_path, {"publish": {"http": ANY}}) as first:
        taken = {"listen": str(first.addresses["publish.http"])}
        with pytest.raises(ListenError, match=r"publish\.ftp\.listen: cannot listen on"):
            async with opened(tmp_path, {"publish": {"http": ANY, "ftp": taken}}):
                raise AssertionError("it opened")


async def test_another_configuration(tmp_path: Path) -> None:
    """Told hosts, stations and their passwords are by the new one, in one step; the same passwords stay as they are."""
    (tmp_path / "a").write_text("")
    (tmp_path / "b").write_text("")
    async with opened(tmp_path, ALL) as listeners:

        def found(**stations: Any) -> Config:
            who = {"controller": {"identity": "LC", "state_dir": str(tmp_path)}, "csms": {"url": "ws://127.0.0.1:9/"}}
            publish = {**ALL["publish"], "host": "gateway.lan", "idle_timeout_seconds": 7}
            return parse({**who, **ALL, "publish": publish, "stations": {"ws": ANY, **stations}}, "test", {})

        local = {"authentication": "local", "password_file": str(tmp_path / "a")}
        with pytest.raises(ConfigurationError, match=r"stations\.password_file"):
            listeners.prepare(found(**{**local, "password_file": str(tmp_path / "gone")}))
        take = listeners.prepare(found(**local))
        assert not listeners._passwords
        take()
        first: Passwords | None = listeners._passwords
        assert first is not None
        assert listeners.uris("b" * 32, "x")[0].startswith("http://gateway.lan:")
        listeners.prepare(found(**local, max_stations=3))()
        assert listeners._passwords is first
        listeners.prepare(found(**{**local, "password_file": str(tmp_path / "b")}))()
        assert listeners._passwords not in {None, first}
        listeners.prepare(found())()
        assert listeners._passwords is None
