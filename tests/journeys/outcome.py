"""What a publication came to: what the CSMS was told, and what is left at the site."""

import asyncio
from typing import Any, Final

from tests.actors.site import Site, get

FINAL: Final = frozenset({"Published", "DownloadFailed", "InvalidChecksum", "PublishFailed"})
ORDINARY: Final = ("Downloading", "Downloaded", "ChecksumVerified", "Published")
AGAIN: Final = ("Downloading", "DownloadPaused")
FAILED: Final = ("Downloading", "DownloadFailed")
INVALID: Final = ("Downloading", "Downloaded", "InvalidChecksum")


async def outcome(site: Site, location: str, checksum: str, timeout: float = 30, **more: Any) -> tuple[str, ...]:
    """Have a file published, with three retries at once where ``more`` does not say otherwise; the statuses told.

    By then nothing partial is left; and there is nothing but a published file with that checksum.
    """
    request_id, answer = await site.publish(location, checksum, **{"retries": 3, "retryInterval": 0, **more})
    assert answer == {"status": "Accepted"}
    await site.csms.until(lambda: FINAL & set(site.statuses(request_id)), "a final status", timeout)
    async with asyncio.timeout(10):
        while list((site.daemon.state_dir / "partial").iterdir()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # thrown away after the last word of it
    told = tuple(site.statuses(request_id))
    kept = [folder.name for folder in (site.daemon.state_dir / "firmware").iterdir()]
    assert kept == ([checksum.lower()] if "Published" in told else []), told
    return told


async def served(site: Site, checksum: str, name: str) -> tuple[int, bytes]:
    """What a station gets under that checksum and name."""
    return await get(f"http://{site.daemon.listeners['publish.http']}/firmware/{checksum}/{name}")


async def received(site: Site) -> int:
    """Bytes that the daemon has taken from origins."""
    return int(await site.daemon.metric("localctl_download_bytes_total"))
