"""L03 and L04 clause by clause: a CSMS on the package ``ocpp`` drives ``localctl run``, on OCPP 2.0.1 and on 2.1."""

import asyncio
import ftplib
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tests.actors.link import CallError
from tests.actors.origin import Reply
from tests.actors.site import LC, OpenSite, Site, downloading, firmware, get

ORDINARY = ["Downloading", "Downloaded", "ChecksumVerified", "Published"]


async def test_every_state_is_reported_in_order(site: Site) -> None:
    """L03.FR.01, TC_L_17: each new state, in order, under the requestId of the request."""
    file = firmware(300_000)
    request_id, _ = await site.published(file)
    assert site.statuses(request_id) == ORDINARY
    assert {told["requestId"] for told in site.csms.received(LC, "PublishFirmwareStatusNotification")} == {request_id}


async def test_md5_is_of_the_whole_file(site: Site) -> None:
    """L03.FR.02: two files that differ in their last byte only are told apart."""
    file = firmware(2_000_003)
    location = site.origin.script("/other.bin", Reply(file.body[:-1] + bytes([file.body[-1] ^ 1])))
    request_id, _ = await site.publish(location, file.checksum)
    await site.csms.wait_status(request_id, "InvalidChecksum")
    await site.published(file)


async def test_published_over_every_protocol(site: Site) -> None:
    """L03.FR.03: the file can be fetched over HTTP and over FTP, byte for byte."""
    file = firmware(700_000)
    _, (http, ftp) = await site.published(file)
    assert await get(http) == (200, file.body)
    assert await asyncio.to_thread(_ftp_get, ftp) == file.body


async def test_published_carries_one_uri_a_protocol(site: Site) -> None:
    """L03.FR.04: Published carries one URI for each protocol, and no other status any."""
    file = firmware(1000)
    request_id, uris = await site.published(file)
    path = f"/firmware/{file.checksum}/{file.name}"
    assert uris == [f"{scheme}://{site.daemon.listeners[f'publish.{scheme}']}{path}" for scheme in ("http", "ftp")]
    assert [told["status"] for told in site.csms.statuses(request_id) if "location" in told] == ["Published"]


async def test_answered_before_the_download_begins(site: Site) -> None:
    """L03.FR.05: the response goes out before the first status, and before the origin is asked."""
    file = firmware(1000)
    request_id, _ = await site.published(file)
    frames = [str(frame.data) for frame in site.csms.link(LC).frames if frame.direction == "received"]
    answer = next(index for index, data in enumerate(frames) if data.startswith("[3,") and "Accepted" in data)
    status = next(index for index, data in enumerate(frames) if "PublishFirmwareStatusNotification" in data)
    assert answer < status
    assert site.statuses(request_id) == ORDINARY


async def test_rejected_without_a_download(site: Site) -> None:
    """L03.FR.05: what cannot be done is Rejected with a reason code, and nothing is reported or fetched."""
    rejected = {
        ("sftp://127.0.0.1/fw.bin", "0" * 32): "InvalidURL",
        ("not a url", "0" * 32): "InvalidURL",
        ("http://10.0.0.1/fw.bin", "0" * 32): "InvalidURL",
        ("http://127.0.0.1/fw.bin", "xyz"): "InvalidValue",
    }
    for (location, checksum), reason in rejected.items():
        request_id, answer = await site.publish(location, checksum)
        assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", reason)
        assert site.statuses(request_id) == []


async def test_download_failed(site: Site) -> None:
    """L03.FR.06, TC_L_24: Downloading, then DownloadFailed where the origin has no such file."""
    request_id, answer = await site.publish(f"{site.origin.url}/none.bin", "0" * 32)
    assert answer == {"status": "Accepted"}
    await site.csms.wait_status(request_id, "DownloadFailed")
    assert site.statuses(request_id) == ["Downloading", "DownloadFailed"]


async def test_download_failed_after_all_tries(site: Site) -> None:
    """L03.FR.06: DownloadFailed once the first try and ``retries`` more have failed."""
    location = site.origin.script("/busy.bin", Reply(status=503))
    request_id, _ = await site.publish(location, "0" * 32, retries=2, retryInterval=0)
    await site.csms.wait_status(request_id, "DownloadFailed")
    assert len(site.origin.requests) == 3
    again = ["Downloading", "DownloadPaused"]
    assert site.statuses(request_id) == [*again, *again, "Downloading", "DownloadFailed"]


async def test_a_retry_goes_on_where_the_origin_broke_off(site: Site) -> None:
    """L03.FR.06: a try after the first continues by Range and If-Range, and no byte comes twice."""
    file = firmware(3_000_000)
    location = site.origin.script("/cut.bin", Reply(file.body, cut_after=2_000_000), Reply(file.body))
    request_id, _ = await site.publish(location, file.checksum, retries=1, retryInterval=0)
    await site.csms.wait_status(request_id, "Published")
    assert "range" in site.origin.requests[1].headers
    assert "if-range" in site.origin.requests[1].headers
    assert sum(each.sent for each in site.origin.requests) < len(file.body) + 600_000


async def test_invalid_checksum_is_never_served(site: Site) -> None:
    """L03.FR.07, TC_L_19: InvalidChecksum, and nothing can be fetched."""
    file = firmware(50_000)
    location = site.origin.script("/wrong.bin", Reply(file.body))
    request_id, _ = await site.publish(location, "0" * 32)
    await site.csms.wait_status(request_id, "InvalidChecksum")
    assert site.statuses(request_id) == ["Downloading", "Downloaded", "InvalidChecksum"]
    http = site.daemon.listeners["publish.http"]
    for checksum in ("0" * 32, file.checksum):
        assert await get(f"http://{http}/firmware/{checksum}/wrong.bin") == (404, b"")
    assert len(site.origin.requests) == 1


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
async def test_publish_failed_without_a_listener(open_site: OpenSite, version: str) -> None:
    """L03.FR.08, TC_L_20: PublishFailed where there is nothing to serve the file with."""
    site = await open_site(version, {"publish": {"http": None, "ftp": None}})
    file = firmware(1000)
    request_id, _ = await site.publish(site.origin.script("/fw.bin", Reply(file.body)), file.checksum)
    await site.csms.wait_status(request_id, "PublishFailed")
    assert site.statuses(request_id) == [*ORDINARY[:3], "PublishFailed"]


async def test_publish_failed_where_the_disk_refuses(site: Site) -> None:
    """L03.FR.08, TC_L_20: PublishFailed where the file cannot be put in its place."""
    file = firmware(1000)
    (site.daemon.state_dir / "firmware" / file.checksum).write_text("in the way")
    request_id, _ = await site.publish(site.origin.script("/fw.bin", Reply(file.body)), file.checksum)
    await site.csms.wait_status(request_id, "PublishFailed")
    assert site.statuses(request_id) == [*ORDINARY[:3], "PublishFailed"]


async def test_published(site: Site) -> None:
    """L03.FR.09: Published, and the same checksum again is Published at once with the same URIs."""
    file = firmware(40_000)
    _, uris = await site.published(file)
    request_id, answer = await site.publish(f"{site.origin.url}/elsewhere.bin", file.checksum.upper())
    assert answer == {"status": "Accepted"}
    assert (await site.csms.wait_status(request_id, "Published"))["location"] == uris
    assert site.statuses(request_id) == ["Published"]
    assert len(site.origin.requests) == 1


async def test_trigger_when_none_was_sent_or_the_last_was_published(site: Site) -> None:
    """L03.FR.10: Idle without requestId where no status was ever sent, or the last one was Published."""
    assert await site.triggered("PublishFirmwareStatusNotification") == {"status": "Idle"}
    await site.published(firmware(1000))
    assert await site.triggered("PublishFirmwareStatusNotification") == {"status": "Idle"}


async def test_trigger_after_any_other_status(site: Site) -> None:
    """L03.FR.11: the last status again, with its requestId."""
    request_id, _ = await site.publish(f"{site.origin.url}/none.bin", "0" * 32)
    await site.csms.wait_status(request_id, "DownloadFailed")
    told = await site.triggered("PublishFirmwareStatusNotification")
    assert told == {"status": "DownloadFailed", "requestId": request_id}


async def test_a_third_publication_waits(site: Site) -> None:
    """L03.FR.01: DownloadScheduled while two downloads run, then the ordinary states."""
    files = [firmware(20_000, seed) for seed in range(3)]
    requests = []
    for number, file in enumerate(files):
        stall = None if number == 2 else 10_000
        location = site.origin.script(f"/{number}.bin", Reply(file.body, stall_after=stall))
        request_id, _ = await site.publish(location, file.checksum)
        requests.append(request_id)
        await site.csms.wait_status(request_id, "Downloading" if number < 2 else "DownloadScheduled")
    site.origin.release()
    for request_id in requests:
        await site.csms.wait_status(request_id, "Published")
    assert site.statuses(requests[2]) == ["DownloadScheduled", *ORDINARY]


async def test_a_request_id_twice(site: Site) -> None:
    """L03.FR.01: a requestId belongs to one publication: Rejected with DuplicateRequestId."""
    request_id, _ = await site.published(firmware(1000))
    again = {"requestId": request_id, "location": f"{site.origin.url}/x", "checksum": "1" * 32}
    answer = await site.csms.call(LC, "PublishFirmware", again)
    assert isinstance(answer, dict)
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "DuplicateRequestId")


async def test_unpublished(site: Site) -> None:
    """L04.FR.01, FR.02, TC_L_21: Unpublished, and by then the file is gone from every protocol and from the disk."""
    file = firmware(9_000)
    _, (http, ftp) = await site.published(file)
    assert await site.unpublish(file.checksum.upper()) == "Unpublished"
    assert await get(http) == (404, b"")
    with pytest.raises(ftplib.error_perm, match="550"):
        await asyncio.to_thread(_ftp_get, ftp)
    assert list((site.daemon.state_dir / "firmware").iterdir()) == []


async def test_no_firmware(site: Site) -> None:
    """L04.FR.03, TC_L_22: NoFirmware for a checksum that nothing is published under, also after Unpublished."""
    file = firmware(9_000)
    assert await site.unpublish(file.checksum) == "NoFirmware"
    await site.published(file)
    assert await site.unpublish(file.checksum) == "Unpublished"
    assert await site.unpublish(file.checksum) == "NoFirmware"


async def test_download_ongoing_over_http(site: Site) -> None:
    """L04.FR.04, TC_L_23: DownloadOngoing while a station downloads over HTTP and gets its file; then Unpublished."""
    file = firmware(12_000_000)
    _, (http, _) = await site.published(file)
    async with downloading(http) as answer:
        assert await site.unpublish(file.checksum) == "DownloadOngoing"
        await answer.read()
    assert (await get(http))[1] == file.body
    assert await _unpublish_when_free(site, file.checksum) == "Unpublished"


async def test_download_ongoing_over_ftp(site: Site) -> None:
    """L04.FR.04, TC_L_23: the same over FTP."""
    file = firmware(12_000_000)
    _, (_, ftp) = await site.published(file)
    async with _ftp_downloading(ftp) as rest:
        assert await site.unpublish(file.checksum) == "DownloadOngoing"
        assert await rest() == file.body
    assert await _unpublish_when_free(site, file.checksum) == "Unpublished"


async def test_unpublish_while_its_bytes_flow_to_us(site: Site) -> None:
    """L04.FR.04: DownloadOngoing while we fetch the file ourselves, and the publication goes on to Published."""
    file = firmware(20_000)
    location = site.origin.script("/slow.bin", Reply(file.body, stall_after=10_000))
    request_id, _ = await site.publish(location, file.checksum)
    await site.csms.wait_status(request_id, "Downloading")
    assert await site.unpublish(file.checksum) == "DownloadOngoing"
    site.origin.release()
    await site.csms.wait_status(request_id, "Published")


async def test_unpublish_what_is_paused_or_scheduled(open_site: OpenSite) -> None:
    """L04.FR.04: a publication that waits is cancelled: Unpublished, and nothing more is heard of it."""
    site = await open_site("2.1", {"firmware": {"max_concurrent_downloads": 1}})
    busy = site.origin.script("/busy.bin", Reply(status=503))
    paused, _ = await site.publish(busy, "a" * 32, retries=1, retryInterval=3600)
    await site.csms.wait_status(paused, "DownloadPaused")
    running, _ = await site.publish(site.origin.script("/1.bin", Reply(b"x" * 9, stall_after=1)), "b" * 32)
    await site.csms.wait_status(running, "Downloading")
    scheduled, _ = await site.publish(f"{site.origin.url}/2.bin", "c" * 32)
    await site.csms.wait_status(scheduled, "DownloadScheduled")
    assert [await site.unpublish(letter * 32) for letter in "acb"] == ["Unpublished", "Unpublished", "DownloadOngoing"]
    assert site.statuses(paused) == ["Downloading", "DownloadPaused"]
    assert site.statuses(scheduled) == ["DownloadScheduled"]


async def test_what_the_controller_does_not_do(site: Site) -> None:
    """Part 4 4.3: NotSupported for what OCPP knows, NotImplemented for what it does not; UpdateFirmware is Rejected."""
    for action, code in {"Reset": "NotSupported", "MakeCoffee": "NotImplemented", "AFRRSignal": None}.items():
        answer = await site.csms.call(LC, action, {})
        assert isinstance(answer, CallError)
        expected = code or ("NotSupported" if site.csms.link(LC).version == "2.1" else "NotImplemented")
        assert answer.code == expected
    update = {"requestId": 1, "firmware": {"location": "http://x/y", "retrieveDateTime": "2026-01-01T00:00:00Z"}}
    answer = await site.csms.call(LC, "UpdateFirmware", update)
    assert isinstance(answer, dict)
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "UnsupportedRequest")


async def _unpublish_when_free(site: Site, checksum: str) -> str:
    """The server may still count the last bytes of a transfer whose client has them all."""
    for _ in range(200):
        if (status := await site.unpublish(checksum)) != "DownloadOngoing":
            return status
    return "DownloadOngoing"


def _ftp_open(uri: str) -> tuple[ftplib.FTP, str]:
    host, port_path = uri.removeprefix("ftp://").split(":", 1)
    port, path = port_path.split("/", 1)
    client = ftplib.FTP(timeout=30)
    client.connect(host, int(port))
    client.login()
    return client, f"/{path}"


def _ftp_get(uri: str) -> bytes:
    client, path = _ftp_open(uri)
    with client:
        body = io.BytesIO()
        client.retrbinary(f"RETR {path}", body.write)
        return body.getvalue()


@asynccontextmanager
async def _ftp_downloading(uri: str) -> AsyncIterator[Callable[[], Awaitable[bytes]]]:
    """A station in the middle of an FTP download; yields what reads the file to its end."""
    client, path = await asyncio.to_thread(_ftp_open, uri)
    with client:
        await asyncio.to_thread(client.voidcmd, "TYPE I")
        connection = await asyncio.to_thread(client.transfercmd, f"RETR {path}")
        with connection:
            start = await asyncio.to_thread(connection.recv, 4096)

            def rest() -> bytes:
                body = bytearray(start)
                while piece := connection.recv(65536):
                    body += piece
                connection.close()
                client.voidresp()
                return bytes(body)

            async def finish() -> bytes:
                return await asyncio.to_thread(rest)

            yield finish
