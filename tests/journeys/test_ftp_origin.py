"""Firmware that lies on an FTP server: from vsftpd through the real daemon to a station."""

from pathlib import Path

from tests.actors.site import OpenSite, firmware, get
from tests.actors.vsftpd import Vsftpd


async def test_published_from_vsftpd(open_site: OpenSite, tmp_path: Path) -> None:
    """L03: the ordinary states, and the file is served under its name."""
    file = firmware(900_000)
    root = tmp_path / "root"
    root.mkdir()
    (root / file.name).write_bytes(file.body)
    site = await open_site()
    async with Vsftpd(tmp_path / "vsftpd", root) as vsftpd:
        request_id, answer = await site.publish(f"{vsftpd.url}/{file.name}", file.checksum)
        assert answer == {"status": "Accepted"}
        told = await site.csms.wait_status(request_id, "Published")
        missing, _ = await site.publish(f"{vsftpd.url}/missing.bin", "a" * 32)
        await site.csms.wait_status(missing, "DownloadFailed")
    assert site.statuses(request_id) == ["Downloading", "Downloaded", "ChecksumVerified", "Published"]
    assert site.statuses(missing) == ["Downloading", "DownloadFailed"]
    assert told["location"][0].endswith(f"/{file.checksum}/{file.name}")
    assert await get(told["location"][0]) == (200, file.body)
