import re
from pathlib import Path

import pytest

from localctl.demo.controller import Controller
from localctl.demo.csms import Csms
from localctl.demo.origin import Origin, make_firmware
from localctl.demo.patience import DemoFailed
from localctl.demo.plan import MIB, Plan
from localctl.demo.story import Story
from localctl.demo.telling import Event, Outcome

PLAN = Plan(2, MIB)
FAST = 1e12


class Listener:
    """Keeps what is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, event: Event) -> None:
        """Keep it."""
        self.events.append(event)

    def progress(self, who: str, received: int, total: int) -> None:
        """Let it be."""

    def end(self, outcome: Outcome) -> None:
        """Nothing follows."""

    def statuses(self, name: str) -> list[object]:
        """The statuses of the events of that name."""
        return [event.facts["status"] for event in self.events if event.name == name]


async def play(folder: Path, listener: Listener, checksum: str = "") -> int:
    """The story with two stations, or with a firmware that is not what the CSMS says."""
    real = make_firmware(folder / "a.bin", PLAN.size)
    async with (
        Origin(folder / "a.bin", FAST) as origin,
        Csms() as csms,
        Controller(folder, csms.url, PLAN) as controller,
    ):
        return await Story(PLAN, checksum or real, origin, csms, controller, listener).play()


async def test_it_goes_as_it_must(tmp_path: Path) -> None:
    """TC_L_17, TC_L_21 to TC_L_23: published, refused while it is downloaded, withdrawn, gone."""
    listener = Listener()
    assert await play(tmp_path, listener) == PLAN.lan_bytes
    assert listener.statuses("publish_status") == ["Downloading", "Downloaded", "ChecksumVerified", "Published"]
    assert listener.statuses("unpublish_answer") == ["DownloadOngoing", "Unpublished", "NoFirmware"]
    assert [event.who for event in listener.events if event.name == "pause"] == ["CS-01", "CS-02"]


async def test_a_wrong_firmware_is_not_hidden(tmp_path: Path) -> None:
    """L03.FR.07: a file that is not what the CSMS named ends the story at InvalidChecksum."""
    listener = Listener()
    words = re.escape("the controller's status is ('InvalidChecksum', 1, []), and must be ('ChecksumVerified', 1, [])")
    with pytest.RaisesGroup(pytest.RaisesExc(DemoFailed, match=words), allow_unwrapped=True, flatten_subgroups=True):
        await play(tmp_path, listener, checksum="0" * 32)
    assert listener.statuses("publish_status") == ["Downloading", "Downloaded"]


async def test_a_refused_request_is_not_hidden(tmp_path: Path) -> None:
    """A checksum that is no MD5 is Rejected, and the story ends there."""
    listener = Listener()
    words = "the answer to PublishFirmware is .*InvalidValue.*, and must be"
    with pytest.RaisesGroup(pytest.RaisesExc(DemoFailed, match=words), allow_unwrapped=True, flatten_subgroups=True):
        await play(tmp_path, listener, checksum="no MD5")
    assert listener.statuses("publish_status") == []
