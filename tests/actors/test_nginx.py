import ssl
import subprocess
from pathlib import Path

import aiohttp
import pytest

from tests.actors.nginx import Nginx

IMAGE = bytes(range(256)) * 400


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with one file in it."""
    folder = tmp_path / "root"
    folder.mkdir(mode=0o700)
    (folder / "fw.bin").write_bytes(IMAGE)
    return folder


async def fetch(url: str, **arguments: object) -> tuple[int, bytes]:
    """Status and body of a GET."""
    async with aiohttp.request("GET", url, **arguments) as response:  # type: ignore[arg-type]  # any of its options
        return response.status, await response.read()


async def test_it_serves_and_tells(tmp_path: Path, root: Path) -> None:
    """A file is served whole and in part, and each request is told with its range and what was sent."""
    async with Nginx(tmp_path / "nginx", root) as nginx:
        assert await fetch(f"{nginx.url}/fw.bin") == (200, IMAGE)
        assert await fetch(f"{nginx.url}/fw.bin", headers={"Range": "bytes=100-"}) == (206, IMAGE[100:])
        await nginx.until(lambda: len(nginx.requests()) == 2)
        told = [(each.target, each.range, each.status, each.sent) for each in nginx.requests()]
        assert told == [("/fw.bin", "", 200, len(IMAGE)), ("/fw.bin", "bytes=100-", 206, len(IMAGE) - 100)]


async def test_it_goes_and_comes_back_on_its_port(tmp_path: Path, root: Path) -> None:
    """A stopped nginx refuses connections, a started one serves under the same URL and has not forgotten."""
    async with Nginx(tmp_path / "nginx", root) as nginx:
        await fetch(f"{nginx.url}/none")
        await nginx.stop()
        with pytest.raises(aiohttp.ClientConnectorError):
            await fetch(f"{nginx.url}/fw.bin")
        await nginx.start()
        assert (await fetch(f"{nginx.url}/fw.bin"))[0] == 200
        await nginx.until(lambda: [each.status for each in nginx.requests()] == [404, 200])


async def test_it_can_be_slow(tmp_path: Path, root: Path) -> None:
    """With a limit the body is still on its way when the first piece has come."""
    async with (
        Nginx(tmp_path / "nginx", root, limit_rate=1000) as nginx,
        aiohttp.request("GET", f"{nginx.url}/fw.bin") as response,
    ):
        assert await response.content.readany()
        assert not response.content.is_eof()
        assert nginx.requests() == []


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody has signed, and its key."""
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    kind = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=origin".split()
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(files[0]), "-keyout", str(files[1])]
    subprocess.run([*kind, *names], check=True, capture_output=True)
    return files


async def test_it_speaks_tls(tmp_path: Path, root: Path, certificate: tuple[Path, Path]) -> None:
    """With a certificate it serves over HTTPS."""
    trust = ssl.create_default_context(cafile=certificate[0])
    async with Nginx(tmp_path / "nginx", root, certificate=certificate) as nginx:
        assert nginx.url.startswith("https://")
        assert await fetch(f"{nginx.url}/fw.bin", ssl=trust) == (200, IMAGE)
