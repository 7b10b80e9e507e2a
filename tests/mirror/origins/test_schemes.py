"""Each scheme has its client."""

from pathlib import Path

from localctl.config import Firmware
from localctl.mirror.origins.schemes import Origins
from localctl.store.records import Resume
from localctl.tls import client_context
from tests.actors.origin import Origin, Reply
from tests.actors.vsftpd import Vsftpd
from tests.mirror.origins.bucket import Bucket

BODY = b"firmware" * 1000


async def test_http_and_ftp(tmp_path: Path) -> None:
    """The scheme decides, in either case of its letters."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "fw.bin").write_bytes(BODY)
    made = Origins(Firmware(allowed_origins=("127.0.0.1",)), client_context("firmware"), "localctl/test")
    async with Origin() as origin, Vsftpd(tmp_path / "vsftpd", tmp_path / "root") as vsftpd:
        for location in (origin.script("/fw.bin", Reply(BODY)), f"{vsftpd.url}/fw.bin".replace("ftp:", "FTP:")):
            bucket = Bucket()
            await made.fetch(location, Resume(), bucket)
            assert bucket.data == BODY
    await made.close()
