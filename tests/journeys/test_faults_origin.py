"""Origins that misbehave, rows 10 to 19 of the faults: what the real daemon tells the CSMS, asks again, and serves."""

import gzip
import socket
import time
from collections.abc import Callable
from email.utils import formatdate
from math import floor
from pathlib import Path
from typing import Any, Final

import pytest
import trustme

from tests.actors.nginx import Nginx
from tests.actors.origin import Origin, Reply
from tests.actors.ports import HeldPort
from tests.actors.site import LC, Firmware, OpenSite, Site, firmware
from tests.actors.vsftpd import Vsftpd
from tests.journeys.outcome import AGAIN, FAILED, INVALID, ORDINARY, outcome, received, served

MEBIBYTE: Final = 2**20
FILE: Final = firmware(1_000_000)
OTHER: Final = firmware(1_000_000, seed=1)
CUT: Final = 600_000
WHOLE: Final = Reply(FILE.body)
NEVER: Final = "0" * 32  # no file's MD5; nor is any other number as small


@pytest.fixture
async def site(open_site: OpenSite) -> Site:
    """A site whose controller soon has enough of silence (a busy machine is silent too), and takes at most 64 MiB."""
    return await open_site(overrides={"firmware": {"idle_timeout_seconds": 2, "max_file_size": "64MiB"}})


def ranges(origin: Origin) -> list[str]:
    """The Range of each request, empty where it has none."""
    return [request.headers.get("range", "") for request in origin.requests]


# 10 and 11: what the origin answers.


async def test_row_10_a_refusal_is_final(site: Site) -> None:
    """Row 10, L03.FR.06: DownloadFailed after one request, however many retries are left."""
    for status in (400, 401, 403, 404, 410):
        location = site.origin.script(f"/{status}.bin", Reply(status=status), WHOLE)
        assert await outcome(site, location, f"{status:032}") == FAILED
        assert [request.target for request in site.origin.requests].count(f"/{status}.bin") == 1


async def test_row_10_asked_again_after_retry_after(site: Site) -> None:
    """Row 10: 408, 425 and 429 are asked again, and not before the second, or the date, that Retry-After names."""
    date = floor(time.time()) + 3.0
    due = time.monotonic() + date - time.time()
    waits = ["1", formatdate(date, usegmt=True), "1"]
    replies = [
        Reply(status=code, headers=[("Retry-After", wait)]) for code, wait in zip((408, 425, 429), waits, strict=True)
    ]
    location = site.origin.script("/fw.bin", *replies, WHOLE)
    assert await outcome(site, location, FILE.checksum) == (*AGAIN * 3, *ORDINARY)
    first, second, third, last = (request.at for request in site.origin.requests)
    assert second - first >= 1
    assert third >= due - 0.01  # what two clocks may drift apart meanwhile
    assert last - third >= 1


async def test_row_11_a_passing_trouble_is_asked_again(site: Site) -> None:
    """Row 11: 500, 502, 503: as often as ``retries`` says, ``retryInterval`` apart, then DownloadFailed."""
    location = site.origin.script("/fw.bin", *(Reply(status=status) for status in (500, 502, 503)), WHOLE)
    assert await outcome(site, location, FILE.checksum, retries=2, retryInterval=1) == (*AGAIN * 2, *FAILED)
    first, second, third = (request.at for request in site.origin.requests)
    assert second - first >= 1
    assert third - second >= 1


@pytest.mark.parametrize("scheme", ["http", "ftp"])
async def test_row_11_nobody_is_there(open_site: OpenSite, scheme: str) -> None:
    """Row 11: a port that refuses and a name that does not exist are tried again, then DownloadFailed."""
    site = await open_site(overrides={"firmware": {"allowed_origins": ["127.0.0.1", "*.invalid"]}})
    held = HeldPort()
    places = {f"127.0.0.1:{held.number}": "cannot be reached", "no.invalid": "cannot be resolved"}
    for number, (place, words) in enumerate(places.items()):
        told = await outcome(site, f"{scheme}://{place}/fw.bin", f"{number:032}", retries=2)
        assert told == (*AGAIN * 2, *FAILED)
        assert sum(words in line["message"] for line in site.daemon.log) == 3
    held.close()


@pytest.mark.parametrize("scheme", ["https", "ftps"])
async def test_row_11_a_certificate_that_no_root_vouches_for(open_site: OpenSite, tmp_path: Path, scheme: str) -> None:
    """Row 11: it may be mended before the next try, so it is tried again; ``ca_file`` mends it."""
    authority, folder = trustme.CA(), tmp_path / "origin"
    leaf = authority.issue_cert("127.0.0.1")
    (folder / "root").mkdir(parents=True)
    (folder / "root" / "fw.bin").write_bytes(FILE.body)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    leaf.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    leaf.private_key_pem.write_to_path(folder / "key.pem")
    site, certificate = await open_site(), (folder / "cert.pem", folder / "key.pem")
    kind = Nginx if scheme == "https" else Vsftpd
    async with kind(folder / "server", folder / "root", certificate=certificate) as server:
        location = f"{server.url}/fw.bin"
        assert await outcome(site, location, FILE.checksum, retries=1) == (*AGAIN, *FAILED)
        await site.daemon.logged("no root that we trust")
        site.daemon.configure({"firmware": {"ca_file": str(folder / "ca.pem")}})
        await site.daemon.restart()
        await site.daemon.ready()
        assert await outcome(site, location, FILE.checksum) == ORDINARY


# 12 to 15: what goes wrong on the way.


async def test_row_12_silent_before_the_answer(site: Site) -> None:
    """Row 12: ended after ``idle_timeout_seconds``, counted as a try."""
    location = site.origin.script("/fw.bin", Reply(silent=True))
    assert await outcome(site, location, FILE.checksum, retries=1) == (*AGAIN, *FAILED)
    assert len(site.origin.requests) == 2


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_row_12_stalled_in_the_body(site: Site, framing: Any) -> None:
    """Row 12: ended, counted as a try, and continued from the byte where it was."""
    location = site.origin.script("/fw.bin", Reply(FILE.body, framing=framing, stall_after=CUT), WHOLE)
    assert await outcome(site, location, FILE.checksum) == (*AGAIN, *ORDINARY)
    assert ranges(site.origin) == ["", f"bytes={CUT}-"]
    assert await received(site) == len(FILE.body)


async def test_row_12_a_drip(site: Site, rounds: Callable[[int, int], int]) -> None:
    """Row 12: 20 bytes a second are neither silence nor a fault, but after a minute they are: a try, and continued."""
    seconds = rounds(2, 90)
    file = Firmware(FILE.body[: seconds * 20], "fw.bin")
    location = site.origin.script("/fw.bin", Reply(file.body, drip=0.05), Reply(file.body))
    told = await outcome(site, location, file.checksum, timeout=200)
    if seconds < 60:
        assert (told, ranges(site.origin)) == (ORDINARY, [""])
    else:
        assert told == (*AGAIN, *ORDINARY)
        assert ranges(site.origin)[0] == ""
        assert 0 < int(ranges(site.origin)[1].removeprefix("bytes=").removesuffix("-")) < len(file.body)
        assert site.origin.requests[1].at - site.origin.requests[0].at >= 60
        assert await received(site) == len(file.body)


@pytest.mark.parametrize("reset", [False, True], ids=["ended", "reset"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_row_13_cut_and_continued(site: Site, framing: Any, *, reset: bool) -> None:
    """Row 13: a cut that the framing tells costs a try, and what is here is not fetched again."""
    location = site.origin.script("/fw.bin", Reply(FILE.body, framing=framing, cut_after=CUT, reset=reset), WHOLE)
    assert await outcome(site, location, FILE.checksum) == (*AGAIN, *ORDINARY)
    assert len(site.origin.requests) == 2
    assert await served(site, FILE.checksum, "fw.bin") == (200, FILE.body)


async def test_row_13_cut_where_nothing_tells(site: Site) -> None:
    """Row 13: with neither length nor chunks only the MD5 tells: fetched once more from 0, and no try is spent."""
    location = site.origin.script("/fw.bin", Reply(FILE.body, framing="close", cut_after=CUT), WHOLE)
    assert await outcome(site, location, FILE.checksum, retries=0) == ORDINARY
    assert ranges(site.origin) == ["", ""]
    assert await served(site, FILE.checksum, "fw.bin") == (200, FILE.body)


@pytest.mark.parametrize(
    ("framing", "told", "requests"), [("length", FAILED, 3), ("chunked", FAILED, 3), ("close", INVALID, 2)]
)
async def test_row_13_cut_again_and_again(site: Site, framing: Any, told: tuple[str, ...], requests: int) -> None:
    """Row 13: never Published: its tries are spent, or where nothing tells of the cut, the MD5 is wrong twice."""
    location = site.origin.script("/fw.bin", Reply(FILE.body, framing=framing, cut_after=100_000))
    got = await outcome(site, location, FILE.checksum, retries=2)
    assert got == (told if framing == "close" else (*AGAIN * 2, *told))
    assert len(site.origin.requests) == requests
    assert await served(site, FILE.checksum, "fw.bin") == (404, b"")


async def test_row_14_another_file_under_the_same_name(site: Site) -> None:
    """Row 14: an If-Range that fails brings the other file from 0: nothing of the first one is in it."""
    location = site.origin.script("/fw.bin", Reply(OTHER.body, cut_after=CUT), Reply(FILE.body, etag='"2"'))
    assert await outcome(site, location, FILE.checksum) == (*AGAIN, *ORDINARY)
    assert [request.headers.get("if-range") for request in site.origin.requests] == [None, '"1"']
    assert await served(site, FILE.checksum, "fw.bin") == (200, FILE.body)


@pytest.mark.parametrize("retries", [1, 2])
async def test_row_14_a_range_of_another_file(site: Site, retries: int) -> None:
    """Row 14: a 206 that is of another file: what is here is dropped, it costs a try, the next one starts at 0."""
    changed = Reply(FILE.body, etag='"2"', if_range=False)
    location = site.origin.script("/fw.bin", Reply(OTHER.body, stall_after=CUT), changed)
    told = await outcome(site, location, FILE.checksum, retries=retries)
    assert told == ((*AGAIN, *FAILED) if retries == 1 else (*AGAIN * 2, *ORDINARY))
    assert ranges(site.origin) == ["", f"bytes={CUT}-", ""][: retries + 1]


async def test_row_15_the_range_is_ignored(site: Site) -> None:
    """Row 15: a 200 to a Range starts at 0, and no byte is there twice."""
    location = site.origin.script("/fw.bin", Reply(FILE.body, stall_after=CUT), Reply(FILE.body, ranges=False))
    assert await outcome(site, location, FILE.checksum) == (*AGAIN, *ORDINARY)
    assert ranges(site.origin) == ["", f"bytes={CUT}-"]
    assert await received(site) == CUT + len(FILE.body)
    assert await served(site, FILE.checksum, "fw.bin") == (200, FILE.body)


# 16: redirects.


@pytest.mark.parametrize(("hops", "told"), [(5, ORDINARY), (6, FAILED)])
async def test_row_16_a_chain_of_redirects(site: Site, hops: int, told: tuple[str, ...]) -> None:
    """Row 16: five are followed; the sixth is not, and is final."""
    for hop in range(hops):
        code = (301, 302, 303, 307, 308)[hop % 5]
        site.origin.script(f"/{hop}", Reply(status=code, headers=[("Location", f"/{hop + 1}")]))
    site.origin.script(f"/{hops}", WHOLE)
    assert await outcome(site, f"{site.origin.url}/0", FILE.checksum) == told
    assert len(site.origin.requests) == 6


LEADS_ASTRAY: Final = (
    "file:///etc/passwd",
    "ftp://127.0.0.1:{port}/right.bin",
    "gopher://127.0.0.1:{port}/right.bin",
    "http://localhost:{port}/right.bin",
    "http://127.1:{port}/right.bin",
    "http://[::1]:{port}/right.bin",
    "http://169.254.169.254/right.bin",
)


async def test_row_16_where_no_redirect_may_lead(site: Site) -> None:
    """Row 16: another scheme, or a host that is not allowed, is never asked, and it is final."""
    site.origin.script("/right.bin", WHOLE)
    for number, target in enumerate(LEADS_ASTRAY):
        headers = [("Location", target.format(port=site.origin.port))]
        location = site.origin.script(f"/{number}.bin", Reply(status=302, headers=headers))
        assert await outcome(site, location, f"{number:032}") == FAILED, target
    assert [request.target for request in site.origin.requests] == [f"/{n}.bin" for n in range(len(LEADS_ASTRAY))]


async def test_row_16_a_loop(site: Site) -> None:
    """Row 16: ended after five redirects, for good."""
    location = site.origin.script("/fw.bin", Reply(status=302, headers=[("Location", "/fw.bin")]))
    assert await outcome(site, location, FILE.checksum) == FAILED
    assert len(site.origin.requests) == 6


# 17 and 18: sizes.


async def test_row_17_a_length_above_the_limit(site: Site) -> None:
    """Row 17: refused before the body, of which nothing is taken; one of more than 64 bits is no HTTP, and retried."""
    for length, told in {64 * MEBIBYTE + 1: FAILED, 2**62: FAILED, 10**30: (*AGAIN, *FAILED)}.items():
        location = site.origin.script(f"/{length}.bin", Reply(FILE.body, length=length))
        assert await outcome(site, location, f"{length:032}", retries=1) == told
    assert len(site.origin.requests) == 4
    assert await received(site) == 0


@pytest.mark.parametrize("framing", ["chunked", "close"])
async def test_row_17_a_body_without_end(site: Site, framing: Any) -> None:
    """Row 17: counted while it is read, ended at ``max_file_size``, and memory stays flat."""
    before = site.daemon.peak()
    location = site.origin.script("/fw.bin", Reply(bytes(96 * MEBIBYTE), framing=framing))
    assert await outcome(site, location, FILE.checksum) == FAILED
    assert len(site.origin.requests) == 1
    assert 64 * MEBIBYTE < await received(site) <= 65 * MEBIBYTE
    assert site.daemon.peak() - before < 40 * MEBIBYTE


async def test_row_17_a_length_larger_than_the_body(site: Site) -> None:
    """Row 17: a body that ends before its length is cut short: tried again, and never Published."""
    location = site.origin.script("/fw.bin", Reply(FILE.body, length=len(FILE.body) + 1))
    assert await outcome(site, location, FILE.checksum, retries=1) == (*AGAIN, *FAILED)


async def test_row_17_a_length_smaller_than_the_body(site: Site) -> None:
    """Row 17: what comes after the length is not of the file; what is of it has another MD5."""
    location = site.origin.script("/fw.bin", Reply(FILE.body, length=CUT))
    told = await outcome(site, location, FILE.checksum, retries=0)
    assert told in {FAILED, INVALID}
    assert await received(site) <= CUT


async def test_row_18_gzip_is_never_decoded(site: Site) -> None:
    """Row 18: the MD5 is that of the bytes as they come, and so they are served."""
    packed = Firmware(gzip.compress(FILE.body), "fw.gz")
    reply = Reply(packed.body, headers=[("Content-Encoding", "gzip")])
    location = site.origin.script("/fw.gz", reply)
    assert await outcome(site, location, FILE.checksum) == INVALID
    assert await outcome(site, location, packed.checksum) == ORDINARY
    assert await served(site, packed.checksum, "fw.gz") == (200, packed.body)
    assert {request.headers["accept-encoding"] for request in site.origin.requests} == {"identity"}


@pytest.mark.parametrize(("coding", "told"), [("Content-Encoding", ORDINARY), ("Transfer-Encoding", FAILED)])
async def test_row_18_a_gzip_bomb(site: Site, coding: str, told: tuple[str, ...]) -> None:
    """Row 18: what would unpack to 256 MiB costs neither memory nor disk; as a transfer coding it is no HTTP to us."""
    bomb = Firmware(gzip.compress(bytes(256 * MEBIBYTE)), "fw.gz")
    before = site.daemon.peak()
    location = site.origin.script("/fw.gz", Reply(bomb.body, headers=[(coding, "gzip")]))
    assert await outcome(site, location, bomb.checksum, retries=0) == told
    assert await received(site) <= len(bomb.body)
    assert site.daemon.peak() - before < 40 * MEBIBYTE


# 19: the MD5.


async def test_row_19_a_wrong_md5(site: Site) -> None:
    """Row 19, L03.FR.07: after one uninterrupted fetch InvalidChecksum, and neither kept, served nor fetched again."""
    location = site.origin.script("/fw.bin", WHOLE)
    assert await outcome(site, location, NEVER) == INVALID
    assert len(site.origin.requests) == 1
    for checksum in (NEVER, FILE.checksum):
        assert await served(site, checksum, "fw.bin") == (404, b"")


async def test_row_19_wrong_after_a_resumed_fetch(site: Site) -> None:
    """Row 19: dropped, fetched once more from 0, and then decided: InvalidChecksum if it is wrong still."""
    location = site.origin.script("/fw.bin", Reply(FILE.body, stall_after=CUT), WHOLE)
    assert await outcome(site, location, NEVER) == (*AGAIN, *INVALID)
    assert ranges(site.origin) == ["", f"bytes={CUT}-", ""]


async def test_row_19_put_together_wrongly(site: Site) -> None:
    """Row 19: parts of two files under one ETag are found out by the MD5, and the whole file is fetched."""
    location = site.origin.script("/fw.bin", Reply(OTHER.body, stall_after=CUT), WHOLE)
    assert await outcome(site, location, FILE.checksum) == (*AGAIN, *ORDINARY)
    assert ranges(site.origin) == ["", f"bytes={CUT}-", ""]
    assert await served(site, FILE.checksum, "fw.bin") == (200, FILE.body)


async def test_row_19_in_upper_case(site: Site) -> None:
    """Row 19: accepted, and published under the lower case."""
    location = site.origin.script("/fw.bin", WHOLE)
    assert await outcome(site, location, FILE.checksum.upper()) == ORDINARY
    assert await served(site, FILE.checksum, "fw.bin") == (200, FILE.body)


async def test_row_19_what_is_no_md5(site: Site) -> None:
    """Row 19: Rejected with InvalidValue, and nobody is asked."""
    location = site.origin.script("/fw.bin", WHOLE)
    for checksum in ("", "0" * 31, "g" * 32, "0x" + "0" * 30, "\u0660" * 32, f" {'0' * 31}"):
        _, answer = await site.publish(location, checksum)
        assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "InvalidValue"), checksum
    assert site.origin.requests == []


# Whom it may ask, and what nobody may read.


@pytest.mark.parametrize("scheme", ["http", "ftp"])
async def test_row_16_only_allowed_origins_are_asked(open_site: OpenSite, scheme: str) -> None:
    """Row 16: a literal and a name that are refused are Rejected; a name that leads to a refused address fails."""
    site = await open_site(overrides={"firmware": {"allowed_origins": ["local*", "*.example.com"]}})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "files.example.org"):
            _, answer = await site.publish(f"{scheme}://{host}:{port}/fw.bin", FILE.checksum)
            assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "InvalidURL")
        assert await outcome(site, f"{scheme}://localhost:{port}/fw.bin", FILE.checksum) == FAILED
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


SECRETS: Final = ("s3cr3t-user", "s3cr3t-word", "s3cr3t-sig")


ENDINGS: Final = {
    "whole": WHOLE,
    "404": Reply(status=404),
    "503": Reply(status=503),
    "reset": Reply(FILE.body, cut_after=CUT, reset=True),
    "silent": Reply(silent=True),
    "redirected": Reply(status=302, headers=[("Location", "http://{}:{}@10.0.0.1/?{}".format(*SECRETS))]),
    "huge": Reply(FILE.body, length=2**40),
    "no HTTP": Reply(FILE.body, length=10**30),
}


async def test_credentials_of_a_location_stay_secret(site: Site) -> None:
    """Rows 10 to 17: user, password and query of a URL are in no log, no status, no published name, however it ends."""
    user, word, signature = SECRETS
    for ending, reply in ENDINGS.items():
        path = f"/{ending.replace(' ', '-')}.bin"
        site.origin.script(path, reply)
        location = f"http://{user}:{word}@127.0.0.1:{site.origin.port}{path}?sig={signature}"
        told = await outcome(site, location, FILE.checksum, retries=1)
        assert ("Published" in told) is (ending in {"whole", "reset"})
        await site.unpublish(FILE.checksum)
    assert all(request.headers["authorization"].startswith("Basic ") for request in site.origin.requests)
    read = [*site.daemon.runs[0].err, *map(str, site.csms.received(LC, "PublishFirmwareStatusNotification"))]
    read += [(await site.daemon.get(path))[1] for path in ("/api/status", "/metrics")]
    assert [line for line in read if any(secret in line for secret in SECRETS)] == []
