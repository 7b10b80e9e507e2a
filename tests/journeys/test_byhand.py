"""`localctl publish` and `unpublish`, as a technician types them, against the real daemon."""

import asyncio
import os
import random
import signal
import stat
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon, executable
from tests.actors.origin import Origin, Reply
from tests.actors.process import Process
from tests.actors.site import OpenSite, downloading, firmware, get
from tests.test_cli import localctl


def stick(folder: Path, body: bytes, name: str = "fw.bin") -> str:
    """A file on a USB stick; its path."""
    path = folder / "stick" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(body)
    return str(path)


async def by_hand(daemon: Daemon, command: str, *arguments: str) -> tuple[int, str, str]:
    """Run `localctl publish` or `unpublish` against ``daemon``: exit status, stdout, stderr."""
    return await localctl(command, "--config", str(daemon.config_file), *arguments)


def ftp(uri: str) -> bytes:
    """What an FTP client gets."""
    with urllib.request.urlopen(uri) as answer:
        return bytes(answer.read())


async def test_a_file_from_a_stick(open_site: OpenSite, tmp_path: Path) -> None:
    """Its MD5 and a URI a protocol are printed; it is served over each and survives a kill; no CSMS is told."""
    site = await open_site()
    file = firmware(3_000_000)
    code, out, err = await by_hand(site.daemon, "publish", stick(tmp_path, file.body))
    assert (code, err) == (0, "")
    checksum, http, plain = out.splitlines()
    assert checksum == file.checksum
    assert http == f"http://{site.daemon.listeners['publish.http']}/firmware/{checksum}/fw.bin"
    assert await get(http) == (200, file.body)
    assert await asyncio.to_thread(ftp, plain) == file.body
    assert list((site.daemon.state_dir / "partial").iterdir()) == []
    await site.daemon.restart()
    code, out, _ = await by_hand(site.daemon, "publish", stick(tmp_path, file.body, "other.bin"))
    again = out.splitlines()
    assert (code, again[0]) == (0, checksum)
    assert again[1].endswith("/fw.bin")  # the name first given
    assert await get(again[1]) == (200, file.body)
    await site.daemon.ready()
    assert site.statuses(None) == []


async def test_the_csms_and_a_file_from_a_stick(open_site: OpenSite, tmp_path: Path) -> None:
    """The CSMS publishes the same checksum: Published at once, nothing is fetched; it withdraws it, and it is gone."""
    site = await open_site()
    file = firmware(50_000)
    _, out, _ = await by_hand(site.daemon, "publish", stick(tmp_path, file.body))
    request_id, uris = await site.published(file)
    assert site.statuses(request_id) == ["Published"]
    assert uris == out.splitlines()[1:]
    assert site.origin.requests == []
    assert await site.unpublish(file.checksum) == "Unpublished"
    assert (await get(uris[0]))[0] == 404
    assert (await by_hand(site.daemon, "unpublish", file.checksum))[0] == 4


async def test_a_stick_while_the_wan_stalls(open_site: OpenSite, tmp_path: Path) -> None:
    """What the CSMS asked for, and what hangs in the middle, is Published once the same file comes from a stick."""
    site = await open_site()
    file = firmware(200_000)
    location = site.origin.script("/slow.bin", Reply(file.body, stall_after=20_000))
    request_id, _ = await site.publish(location, file.checksum)
    await site.origin.until(lambda: site.origin.requests and site.origin.requests[0].sent >= 20_000)
    assert (await by_hand(site.daemon, "unpublish", file.checksum))[0] == 1
    code, out, _ = await by_hand(site.daemon, "publish", stick(tmp_path, file.body))
    assert code == 0
    published = await site.csms.wait_status(request_id, "Published")
    assert published["location"] == out.splitlines()[1:]
    assert site.statuses(request_id) == ["Downloading", "Published"]
    assert (await get(published["location"][0]))[1] == file.body
    assert list((site.daemon.state_dir / "partial").iterdir()) == []


async def test_withdrawing(open_site: OpenSite, tmp_path: Path) -> None:
    """Row 30 by hand: 1 while a station downloads it, 0 after that, 4 again; either case of the MD5; no MD5: usage."""
    site = await open_site()
    file = firmware(12_000_000)
    _, out, _ = await by_hand(site.daemon, "publish", stick(tmp_path, file.body))
    uri = out.splitlines()[1]
    async with downloading(uri):
        code, out, err = await by_hand(site.daemon, "unpublish", file.checksum)
        assert (code, out) == (1, "")
        assert "still being downloaded" in err
    assert await _until_withdrawn(site.daemon, file.checksum.upper()) == f"{file.checksum}: withdrawn"
    assert (await get(uri))[0] == 404
    assert (await by_hand(site.daemon, "unpublish", file.checksum))[0] == 4
    assert list((site.daemon.state_dir / "firmware").iterdir()) == []
    code, _, err = await by_hand(site.daemon, "unpublish", "fw.bin")
    assert code == 2
    assert "32 hexadecimal digits" in err


async def _until_withdrawn(daemon: Daemon, checksum: str) -> str:
    """Ask again while the station's end has not been noticed."""
    while (told := await by_hand(daemon, "unpublish", checksum))[0] == 1:
        pass
    assert told[0] == 0, told
    return told[1]


async def test_a_url(open_site: OpenSite) -> None:
    """The daemon downloads it, with a retry; its MD5 is that of what came; --name names it; --md5 is kept to."""
    site = await open_site()
    file = firmware(300_000)
    location = site.origin.script("/a%20b.bin", Reply(status=503), Reply(file.body))
    code, out, err = await by_hand(site.daemon, "publish", location, "--name", "../odd name.bin")
    assert (code, err) == (0, "")
    checksum, uri, _ = out.splitlines()
    assert (checksum, uri.rpartition("/")[2]) == (file.checksum, "odd_name.bin")
    assert await get(uri) == (200, file.body)
    wrong = site.origin.script("/wrong.bin", Reply(b"something else"))
    code, out, err = await by_hand(site.daemon, "publish", wrong, "--md5", "0" * 32)
    assert (code, out) == (1, "")
    assert "its MD5 is" in err
    assert len((await site.daemon.status())["firmware"]) == 1
    assert list((site.daemon.state_dir / "partial").iterdir()) == []
    assert site.statuses(None) == []


async def test_urls_that_cannot_be(open_site: OpenSite) -> None:
    """A refused host, another scheme, a 404, a body without an end: a sentence each, and status 1."""
    site = await open_site()
    for location, words in (
        ("http://10.9.8.7/fw.bin", "not among the allowed origins"),
        ("gopher://127.0.0.1/fw.bin", "scheme"),
        (site.origin.script("/gone.bin", Reply(status=404)), "404"),
        (site.origin.script("/endless.bin", Reply(b"part", framing="close")), "--md5"),
    ):
        code, out, err = await by_hand(site.daemon, "publish", location)
        assert (code, out) == (1, ""), location
        assert err.startswith("localctl: ")
        assert words in err
        assert "Traceback" not in err


async def test_files_that_cannot_be(tmp_path: Path) -> None:
    """No such file, a folder, a pipe, an empty file, one that is too large, another MD5: a sentence each, status 1."""
    overrides = {"firmware": {"max_file_size": 1_000_000}}
    async with Csms() as csms, Daemon(tmp_path, csms.url, overrides) as daemon:
        await daemon.listening()
        os.mkfifo(tmp_path / "pipe")
        for arguments, words in (
            ((str(tmp_path / "none.bin"),), "No such file"),
            ((str(tmp_path),), "is a folder"),
            ((str(tmp_path / "pipe"),), "is no file"),
            ((stick(tmp_path, b"", "empty.bin"),), "is empty"),
            ((stick(tmp_path, bytes(30_000_000), "large.bin"),), "max_file_size"),
            ((stick(tmp_path, b"body"), "--md5", "0" * 32), "its MD5 is 841a2d689ad86bd1611447453c22c6fc"),
        ):
            code, out, err = await by_hand(daemon, "publish", *arguments)
            assert (code, out) == (1, ""), arguments
            assert err.startswith("localctl: ")
            assert words in err
            assert "Traceback" not in err
        assert (await daemon.status())["firmware"] == []
        assert list((daemon.state_dir / "partial").iterdir()) == []
        assert (await by_hand(daemon, "publish", stick(tmp_path, b"body"), "--md5", "841A"))[0] == 2


async def test_a_disk_that_is_too_full(tmp_path: Path) -> None:
    """Row 5 by hand: what would not leave min_free_space is refused, with what to look at."""
    async with Csms() as csms, Daemon(tmp_path, csms.url, {"firmware": {"min_free_space": "900000GiB"}}) as daemon:
        await daemon.listening()
        code, _, err = await by_hand(daemon, "publish", stick(tmp_path, b"body"))
        assert code == 1
        assert "the disk is too full" in err


async def test_nobody_there(tmp_path: Path) -> None:
    """3 where no daemon was ever started, and where it was killed; the killed one's socket is replaced at a start."""
    async with Csms() as csms:
        daemon = Daemon(tmp_path, csms.url)
        path = stick(tmp_path, b"body")
        for command, argument in (("publish", path), ("unpublish", "0" * 32), ("publish", "http://h/fw.bin")):
            assert (await by_hand(daemon, command, argument))[0] == 3
        async with daemon:
            await daemon.listening()
            await daemon.kill()
            socket_file = Path(daemon.listeners["admin.socket"])
            assert socket_file.exists()
            code, _, err = await by_hand(daemon, "publish", path)
            assert code == 3
            assert err.startswith("localctl: no localctl answers at ")
            await daemon.restart()
            assert (await by_hand(daemon, "publish", path))[0] == 0
            assert await daemon.stop() == 0
            assert not socket_file.exists()


async def test_the_runtime_folder(tmp_path: Path) -> None:
    """The socket is in systemd's runtime folder where there is one, and may be used by owner and group only; a live one
    is not replaced: another daemon does not start.
    """
    (tmp_path / "run").mkdir()
    environ = {"RUNTIME_DIRECTORY": str(tmp_path / "run")}
    async with Csms() as csms, Daemon(tmp_path / "a", csms.url, environ=environ) as daemon:
        await daemon.listening()
        path = tmp_path / "run" / "localctl.sock"
        assert daemon.listeners["admin.socket"] == str(path)
        assert (await daemon.status())["listeners"]["admin.socket"] == str(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert (await by_hand(daemon, "publish", stick(tmp_path, b"body")))[0] == 0
        async with Daemon(tmp_path / "b", csms.url, environ=environ) as other:
            assert await other.runs[-1].over() == 1
            assert "another program answers there" in other.runs[-1].err[-1]
        assert (await by_hand(daemon, "publish", stick(tmp_path, b"body")))[0] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_the_command_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C or a kill in the middle of a download ends it, and nothing of it is left behind."""
    file = firmware(100_000)
    async with Csms() as csms, Origin() as origin, Daemon(tmp_path, csms.url) as daemon:
        await daemon.listening()
        location = origin.script("/slow.bin", Reply(file.body, stall_after=50_000))
        command = [str(executable()), "publish", "--config", str(daemon.config_file), location]
        run = await Process.start(command)
        await origin.until(lambda: origin.requests and origin.requests[0].sent >= 50_000)
        run.signal(number)
        assert await run.over() == (130 if number == signal.SIGINT else -9)
        assert run.out == []
        await _until_empty(daemon.state_dir / "partial")
        assert (await daemon.status())["firmware"] == []


async def _until_empty(folder: Path) -> None:
    async with asyncio.timeout(30):
        while list(folder.iterdir()):  # noqa: ASYNC110  the disk tells nobody
            await asyncio.sleep(0.02)


async def test_an_upload_that_breaks_off(tmp_path: Path) -> None:
    """Half a file came and the command is gone: nothing is served, and nothing is left."""
    async with Csms() as csms, Daemon(tmp_path, csms.url) as daemon:
        await daemon.listening()
        _, writer = await _upload(daemon, 5_000_000, b"x" * 2_000_000)
        await _until_there(daemon.state_dir / "partial")
        writer.close()
        await _until_empty(daemon.state_dir / "partial")
        assert (await daemon.status())["firmware"] == []
        assert (await by_hand(daemon, "publish", stick(tmp_path, b"body")))[0] == 0


async def test_the_daemon_is_stopped_in_mid_upload(tmp_path: Path) -> None:
    """SIGTERM does not wait for a technician: exit status 0, the command hears its end, no partial file is left."""
    async with Csms() as csms, Daemon(tmp_path, csms.url) as daemon:
        await daemon.listening()
        reader, writer = await _upload(daemon, 5_000_000, b"x" * 2_000_000)
        await _until_there(daemon.state_dir / "partial")
        assert await daemon.stop() == 0
        assert b"checksum" not in await reader.read()
        writer.close()
        assert list((daemon.state_dir / "partial").iterdir()) == []


async def test_the_daemon_is_killed_in_mid_upload(tmp_path: Path) -> None:
    """Kill -9 in the middle: after the restart nothing is served, and no partial file is left."""
    async with Csms() as csms, Daemon(tmp_path, csms.url) as daemon:
        await daemon.listening()
        _, writer = await _upload(daemon, 5_000_000, b"x" * 2_000_000)
        await _until_there(daemon.state_dir / "partial")
        await daemon.restart()
        writer.close()
        assert list((daemon.state_dir / "partial").iterdir()) == []
        assert (await daemon.status())["firmware"] == []


async def test_killed_at_any_moment(tmp_path: Path, rounds: Callable[[int, int], int], chance: random.Random) -> None:
    """A kill of the daemon while a file is published by hand: it is served whole or not at all, and once the command
    has printed its URIs it is there; nothing partial is left.
    """
    async with Csms() as csms, Daemon(tmp_path, csms.url) as daemon:
        for number in range(rounds(2, 40)):
            if not daemon.running:
                await daemon.start()
            await daemon.listening()
            file = firmware(8_000_000, number)
            path = stick(tmp_path, file.body)
            command = [str(executable()), "publish", "--config", str(daemon.config_file), path]
            run = await Process.start(command)
            folder = daemon.state_dir / "partial"
            async with asyncio.timeout(30):
                while run.running and not list(folder.iterdir()):  # noqa: ASYNC110  the disk tells nobody
                    await asyncio.sleep(0.002)
            await asyncio.sleep(chance.uniform(0, 0.15))
            await daemon.kill()
            code = await run.over()
            assert code in {0, 1}
            await daemon.start()
            await daemon.listening()
            assert list(folder.iterdir()) == []
            uri = f"http://{daemon.listeners['publish.http']}/firmware/{file.checksum}/fw.bin"
            served = await get(uri)
            assert served == (200, file.body) if code == 0 else served in {(404, b""), (200, file.body)}


async def _upload(daemon: Daemon, size: int, part: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A command in the middle of its upload."""
    reader, writer = await asyncio.open_unix_connection(daemon.listeners["admin.socket"])
    head = f"POST /publish?name=fw.bin HTTP/1.1\r\nHost: localctl\r\nContent-Length: {size}\r\n\r\n"
    writer.write(head.encode() + part)
    await writer.drain()
    return reader, writer


async def _until_there(folder: Path) -> None:
    async with asyncio.timeout(30):
        while not any(path.stat().st_size for path in folder.iterdir()):  # noqa: ASYNC110  the disk tells nobody
            await asyncio.sleep(0.02)
