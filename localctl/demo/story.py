"""The story, step by step; each step raises DemoFailed where it does not go as it must.

The stations boot through the controller; the CSMS has the firmware published (L03); the stations fetch it on the LAN;
while they do, it cannot be withdrawn (L04.FR.04); then it is (L04.FR.01, FR.02), and is gone (L04.FR.03).
"""

import asyncio
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

from localctl.demo import dialects
from localctl.demo.controller import LOOK_SECONDS, Controller, Status
from localctl.demo.csms import Csms, now
from localctl.demo.origin import Origin
from localctl.demo.patience import DemoFailed, within
from localctl.demo.plan import CONTROLLER, CSMS, PUBLISHING, REQUEST_ID, UPDATING, Plan, Role, mebibytes
from localctl.demo.station import Downloaded, Pause, Station
from localctl.demo.telling import Event, Fact, Telling


class Story:
    """Everybody in it. ``checksum`` is the firmware's MD5."""

    def __init__(
        self, plan: Plan, checksum: str, origin: Origin, csms: Csms, controller: Controller, telling: Telling
    ) -> None:
        self._plan = plan
        self._checksum = checksum
        self._origin = origin
        self._csms = csms
        self._controller = controller
        self._telling = telling

    async def play(self) -> int:
        """All of it; the bytes that the stations fetched."""
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._controller.watch(), name="watch the controller")
            await self._boot_controller()
            stations = [self._station(role) for role in self._plan.roles]
            url = self._controller.stations_url
            lives = [tasks.create_task(station.live(url), name=station.role.identity) for station in stations]
            await self._boot_stations()
            uris = await self._publish()
            downloads = await self._update(dict(zip(stations, lives, strict=True)), uris)
            await self._withdraw()
            watching.cancel()
        return sum(download.received for download in downloads)

    def _station(self, role: Role) -> Station:
        pause = Pause(self._plan.size // 2) if role.pauses else None
        show = partial(self._telling.progress, role.identity, total=self._plan.size)
        return Station(role, self._plan.lan_rate, pause, show)

    async def _boot_controller(self) -> None:
        await self._csms.hear(CONTROLLER, "BootNotification", self._plan.patience)
        version = self._csms.version(CONTROLLER)
        self._tell("boot", CONTROLLER, f"booted, OCPP {version}", identity=CONTROLLER, ocpp_version=version)
        await self._until("the controller's readiness", lambda status: bool(status["ready"]))

    async def _boot_stations(self) -> None:
        for role in self._plan.roles:
            await self._csms.hear(role.identity, "BootNotification", self._plan.patience)
            version = self._csms.version(role.identity)
            _must_be(f"the OCPP version of {role.identity}", version, role.version)
            sentence = f"booted through {CONTROLLER}, OCPP {version}"
            self._tell("boot", role.identity, sentence, identity=role.identity, ocpp_version=version)
        relayed = {each["identity"]: each["ocpp_version"] for each in (await self._controller.status())["stations"]}
        _must_be("what the controller relays", relayed, {role.identity: role.version for role in self._plan.roles})

    async def _publish(self) -> list[str]:
        """L03; the published URIs."""
        location = self._origin.location
        self._tell("publish", CSMS, f"PublishFirmware to {CONTROLLER}: {location}", location=location)
        request = dialects.publish_firmware(location, self._checksum, REQUEST_ID)
        answer = await self._csms.call(CONTROLLER, "PublishFirmware", request)
        _must_be("the answer to PublishFirmware", answer, {"status": "Accepted"})
        self._tell("publish_answer", CONTROLLER, "Accepted", status="Accepted")
        async with asyncio.TaskGroup() as tasks:
            showing = tasks.create_task(self._show_progress(), name="show progress")
            uris = await self._publish_statuses()
            showing.cancel()
        _must_be("what the origin sent, in bytes,", self._origin.sent, self._plan.size)
        return uris

    async def _publish_statuses(self) -> list[str]:
        """L03.FR.01: each once, in order. L03.FR.04: only the last carries URIs."""
        uris: list[str] = []
        for status in PUBLISHING:
            told = await self._csms.hear(CONTROLLER, "PublishFirmwareStatusNotification", self._plan.patience)
            uris = told.get("location", [])
            reported = (told.get("status"), told.get("requestId"), [urlsplit(uri).scheme for uri in uris])
            schemes = ["http", "ftp"] if status == "Published" else []
            _must_be("the controller's status", reported, (status, REQUEST_ID, schemes))
            if status == "Downloaded":
                self._telling.progress(CONTROLLER, self._plan.size, self._plan.size)
            self._tell("publish_status", CONTROLLER, " ".join([status, *uris]), status=status, location=uris)
        return uris

    async def _show_progress(self) -> None:
        while True:
            for file in (await self._controller.status())["firmware"]:
                if file["state"] == "downloading":
                    self._telling.progress(CONTROLLER, file["received"], self._plan.size)
            await asyncio.sleep(LOOK_SECONDS)

    async def _update(self, stations: dict[Station, asyncio.Task[Downloaded]], uris: list[str]) -> list[Downloaded]:
        """Every station fetches its firmware, and the CSMS is refused meanwhile."""
        location = {urlsplit(uri).scheme: uri for uri in uris}
        async with asyncio.TaskGroup() as tasks:
            following = [
                tasks.create_task(self._follow(station.role, location[station.role.scheme], life), name="follow")
                for station, life in stations.items()
            ]
            await self._refuse([station for station in stations if station.pause])
        return [task.result() for task in following]

    async def _follow(self, role: Role, location: str, life: asyncio.Task[Downloaded]) -> Downloaded:
        """One station's update, as the CSMS sees it, and what came of it."""
        identity, tell = role.identity, self._tell
        tell("update", CSMS, f"UpdateFirmware to {identity}: {location}", identity=identity, location=location)
        request = dialects.update_firmware(role.version, location, REQUEST_ID, now())
        answer = await self._csms.call(identity, "UpdateFirmware", request)
        _must_be(f"the answer of {identity} to UpdateFirmware", answer, dialects.update_answer(role.version))
        for status in UPDATING:
            told = await self._csms.hear(identity, "FirmwareStatusNotification", self._plan.patience)
            _must_be(f"the status of {identity}", told.get("status"), status)
            tell("station_status", identity, status, identity=identity, status=status)
        done = await life
        _must_be(f"the MD5 of what {identity} has", done.md5, self._checksum)
        sentence = f"MD5 {done.md5} is right: {mebibytes(done.received)} over {role.scheme.upper()}"
        tell("md5", identity, sentence, identity=identity, md5=done.md5, right=True, scheme=role.scheme)
        return done

    async def _refuse(self, pausing: list[Station]) -> None:
        """L04.FR.04: what is being downloaded is not withdrawn."""
        for station in pausing:
            if station.pause is not None:
                async with within(self._plan.patience, f"the half of {station.role.identity}'s download"):
                    await station.pause.reached.wait()
                who, sentence = station.role.identity, "stops reading in the middle of its file"
                self._tell("pause", who, sentence, identity=who)
        await self._unpublish("DownloadOngoing")
        for station in pausing:
            if station.pause is not None:
                station.pause.over.set()

    async def _withdraw(self) -> None:
        """L04.FR.01 to FR.03: it is withdrawn once, and the statuses of its publication have ended with Published."""
        await self._until("the end of all transfers", lambda status: not status["transfers"])
        await self._unpublish("Unpublished")
        await self._unpublish("NoFirmware")
        further = self._csms.unheard(CONTROLLER, "PublishFirmwareStatusNotification")
        _must_be("what the controller reported after Published", further, [])

    async def _unpublish(self, expected: str) -> None:
        self._tell("unpublish", CSMS, f"UnpublishFirmware to {CONTROLLER}", checksum=self._checksum)
        answer = await self._csms.call(CONTROLLER, "UnpublishFirmware", {"checksum": self._checksum})
        _must_be("the answer to UnpublishFirmware", answer.get("status"), expected)
        self._tell("unpublish_answer", CONTROLLER, expected, status=expected)

    def _tell(self, event: str, who: str, sentence: str, **facts: Fact) -> None:
        self._telling.tell(Event(event, who, sentence, facts))

    async def _until(self, what: str, condition: Callable[[Status], bool]) -> None:
        async with within(self._plan.patience, what):
            while not condition(await self._controller.status()):  # noqa: ASYNC110  a process apart: no event tells
                await asyncio.sleep(LOOK_SECONDS)


def _must_be(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise DemoFailed(f"{what} is {found}, and must be {expected}")
