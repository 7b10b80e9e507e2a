"""Each scheme has its client."""

from pathlib import Path

import pytest

from localctl.config import Firmware
from localctl.errors import OriginRefused
from localctl.mirror.origins.schemes import Origins
from localctl.store.records import Resume
from localctl.tls import origins_context
from tests.actors.origin import Origin, Reply
from tests.actors.vsftpd import Vsftpd
from tests.mirror.origins.bucket import Bucket

BODY = b"firmware" * 1000


async def test_http_and_ftp(tmp_path: Path) -> None:
    """The scheme decides, in either case of its letters."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "fw.bin").write_bytes(BODY)
    made = Origins(Firmware(allowed_origins=("127.0.0.1",)), origins_context(""), "localctl/test")
    async with Origin() as origin, Vsftpd(tmp_path / "vsftpd", tmp_path / "root") as vsftpd:
        for location in (origin.script("/fw.bin", Reply(BODY)), f"{vsftpd.url}/fw.bin".replace("ftp:", "FTP:")):
            bucket = Bucket()
            await made.fetch(location, Resume(), bucket)
            assert bucket.data == BODY
    await made.close()


async def test_other_settings_reach_each_client(tmp_path: Path) -> None:
    """Neither may ask any more whom it might; and once it may, more at once are fetched."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "fw.bin").write_bytes(BODY)
    tls = origins_context("")
    made = Origins(Firmware(allowed_origins=("127.0.0.1",)), tls, "localctl/test")
    async with Origin() as origin, Vsftpd(tmp_path / "vsftpd", tmp_path / "root") as vsftpd:
        locations = (origin.script("/fw.bin", Reply(BODY)), f"{vsftpd.url}/fw.bin")
        made.reconfigure(Firmware(allowed_origins=("10.*",)), tls)
        for location in locations:
            with pytest.raises(OriginRefused):
                await made.fetch(location, Resume(), Bucket())
        made.reconfigure(Firmware(allowed_origins=("127.0.0.1",), max_concurrent_downloads=7), tls)
        for location in locations:
            bucket = Bucket()
            await made.fetch(location, Resume(), bucket)
            assert bucket.data == BODY
    await made.close()
