"""What jobs share is handed other settings."""

from pathlib import Path

from localctl.config import Firmware
from localctl.values import parse_window
from tests.actors.origin import Origin, Reply
from tests.mirror.workshop import image, md5, mirror, until

BODY = image(400_000)


async def test_other_settings_reach_every_part(tmp_path: Path) -> None:
    """Places, rate, window, limits and what is allowed, for what comes; the publisher sees the same ones."""
    async with mirror(tmp_path) as made:
        settings = Firmware(
            max_concurrent_downloads=1, download_window=parse_window("01:00-05:00"), max_rate=7, allowed_origins=("a",)
        )
        made.shop.reconfigure(settings)
        assert made.shop.settings is settings
        assert made.shop.downloading.throttle._bucket.rate == 7
        assert made.shop.gate.window == settings.download_window
        async with made.shop.slots:
            assert made.shop.slots.locked()
        answered = await made.ask("http://127.0.0.1/fw.bin", md5(BODY))
        assert answered["statusInfo"]["reasonCode"] == "InvalidURL"


async def test_a_download_that_is_under_way_goes_on(tmp_path: Path) -> None:
    """With fewer places than are taken, and at another rate: it is not begun anew."""
    async with mirror(tmp_path, max_rate=20_000) as made, Origin() as origin:
        await made.publish(origin.script("/fw.bin", Reply(BODY)), md5(BODY), retries=0)
        await until(lambda: made.count("download_bytes_total"))
        made.shop.reconfigure(Firmware(max_concurrent_downloads=1, min_free_space=0, allowed_origins=("127.0.0.1",)))
        assert (await made.ended())[-1] == "Published"
        assert len(origin.requests) == 1
