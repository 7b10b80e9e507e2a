"""The one place that knows every room: it builds them, hands them to each other, starts them and stops them in order.

Start: state, then every listener is bound, then READY, then the uplink, what a restart left to do, and what serves
firmware and the admin room: whoever came to them has waited. Stop: new stations and transfers are refused, transfers
get up to 20 seconds, relays and uplink are closed with 1001, the database last.
"""

import asyncio
import gc
import logging
import random
import signal
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from localctl import late
from localctl.admin.views import Hands, Views
from localctl.config import Config
from localctl.errors import DatabaseDamaged, LocalctlError, StorageError
from localctl.listeners import Listeners
from localctl.lock import lock
from localctl.logs import Recent
from localctl.metrics import Metrics
from localctl.mirror.byhand import ByHand
from localctl.mirror.download import Downloading
from localctl.mirror.gate import Gate
from localctl.mirror.origins.schemes import Origins
from localctl.mirror.publisher import Publisher
from localctl.mirror.slots import Slots
from localctl.mirror.throttle import Throttle
from localctl.mirror.workshop import Workshop
from localctl.overview import Rooms
from localctl.pulse import Pulse
from localctl.reload import Reload, prepares
from localctl.renewal import csms_context
from localctl.store.catalogue import Catalogue
from localctl.store.database import Database
from localctl.store.disk import Disk
from localctl.store.files import FirmwareFiles
from localctl.store.inspector import Inspector
from localctl.store.rebuild import open_or_rebuild
from localctl.store.records import FileRecord, Notification, Snapshot
from localctl.store.shelf import Shelf
from localctl.systemd import Notifier, handed_over
from localctl.tls import origins_context
from localctl.uplink.connection import Clock, Uplink
from localctl.uplink.dial import Dialler
from localctl.uplink.handlers import Handlers
from localctl.uplink.outbox import Outbox

log = logging.getLogger("localctl.daemon")

GRACE_SECONDS: Final = 20.0  # what transfers under way get at a stop
DATABASE: Final = "localctl.db"
VERSION: Final = version("localctl")
SOFTWARE: Final = f"localctl/{VERSION}"


class _Stopped(Exception):  # not an error: how the task group is told to end
    """SIGTERM or SIGINT came, and the listeners are closed."""


@dataclass(frozen=True, slots=True)
class Storage:
    """What lasts, the threads that wait for the disk, and what was found damaged at the start."""

    database: Database
    shelf: Shelf
    threads: ThreadPoolExecutor
    damaged: tuple[FileRecord, ...]


class Daemon:
    """localctl, from a configuration to its end; SIGHUP reads ``path`` again. ``recent`` keeps what is logged."""

    def __init__(self, config: Config, metrics: Metrics, path: Path, recent: Recent | None = None) -> None:
        self._config = config
        self._recent = recent or Recent()
        self._metrics = metrics
        self._state_dir = Path(config.controller.state_dir)
        self._files = FirmwareFiles(self._state_dir)
        publish = config.publish
        self._catalogue = Catalogue(publish.max_transfers, publish.max_transfers_per_address, publish.allowed_networks)
        self._csms_tls, self._csms_certificate = csms_context(config.csms, metrics)
        self._listeners = Listeners(config, self._catalogue, self._csms_tls, metrics, handed_over())
        self._notifier = Notifier()
        self._reload = Reload(path, config, metrics)
        self._stop = asyncio.Event()
        self._disk = Disk(self._files, metrics)

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT. Raises LocalctlError where it cannot start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.set_exception_handler(self._listeners.on_loop_fault)
        loop.add_signal_handler(signal.SIGHUP, self._reload.ask)
        async with AsyncExitStack() as stack:
            stack.enter_context(lock(self._state_dir))
            threads = ThreadPoolExecutor(self._config.firmware.max_concurrent_downloads + 2, thread_name_prefix="disk")
            stack.callback(threads.shutdown)
            await loop.run_in_executor(threads, self._files.prepare)
            database = await open_or_rebuild(self._state_dir / DATABASE, self._files, threads, time.time)
            stack.push_async_callback(database.close)
            snapshot = await database.load()
            shelf = Shelf(database, self._files, self._catalogue, threads, self._metrics, self._disk.failed)
            damaged = await shelf.recover(snapshot)
            await self._live(stack, Storage(database, shelf, threads, damaged), snapshot)
        log.info("stopped")

    async def _live(self, stack: AsyncExitStack, storage: Storage, snapshot: Snapshot) -> None:
        """From the first listener to the last."""
        outbox = Outbox(snapshot.last_sent)
        outbox.add(snapshot.outbox)
        uplink = self._uplink(outbox, storage)
        origin = Origins(self._config.firmware, origins_context(self._config.firmware.ca_file), SOFTWARE)
        stack.push_async_callback(origin.close)
        failed: list[BaseException] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                workshop = self._workshop(storage, origin, uplink)
                publisher = Publisher(workshop, tasks)
                hand = ByHand(workshop, publisher)
                rooms = self._rooms(uplink, outbox, publisher)
                stack.push_async_callback(self._listeners.close, 0)  # where starting fails half-way
                await self._listeners.open()
                tasks.create_task(self._watch_database(storage.database), name="database")
                self._go(tasks, rooms, snapshot)
                hands = Hands(hand.receive, hand.fetch, hand.withdraw)
                serving = tasks.create_task(self._serve(self._views(rooms), hands), name="serving")
                inspector = self._look_after_files(tasks, storage, publisher)
                takers = prepares(self._catalogue, uplink, workshop, origin, inspector, self._listeners.prepare)
                reloading = tasks.create_task(self._reload.run(takers, self._notifier), name="reload")
                await self._stop.wait()
                reloading.cancel()
                serving.cancel()
                log.info("stopping: transfers get up to %.0f s", GRACE_SECONDS)
                self._notifier.stopping()
                await self._listeners.close(GRACE_SECONDS)
                raise _Stopped
        except* _Stopped:
            pass
        except* LocalctlError as group:
            failed.extend(group.exceptions)
        if failed:
            raise failed[0]

    def _go(self, tasks: asyncio.TaskGroup, rooms: Rooms, snapshot: Snapshot) -> None:
        """Everything is bound: begin."""
        uplink, publisher = rooms.uplink, rooms.publisher

        async def withdraw(checksum: str) -> str:
            return (await publisher.withdraw(checksum)).value

        handlers = Handlers(
            uplink.session, publisher.accept, withdraw, uplink.trigger, uplink.boot_again, self._disk.failed
        )
        tasks.create_task(rooms.pulses[0].run(), name="pulse")
        tasks.create_task(uplink.run(handlers), name="uplink")
        tasks.create_task(self._disk.watch(), name="disk")
        if self._csms_certificate:
            tasks.create_task(self._csms_certificate.watch(), name="certificate")
        for name, chore in self._listeners.chores().items():
            tasks.create_task(chore, name=name)
        if self._notifier.watchdog_interval:
            tasks.create_task(self._feed_watchdog(rooms, self._notifier.watchdog_interval), name="watchdog")
        publisher.go_on(snapshot.publications)
        for pulse in rooms.pulses:
            pulse.begin()
        self._notifier.ready(f"{self._config.controller.identity} is ready for stations")
        log.info("localctl %s is ready for stations", VERSION)

    async def _serve(self, views: Views, hands: Hands) -> None:
        """Have firmware served, and the admin room: stations are relayed by now, while more is loaded."""
        await late.load()
        await self._listeners.serve(views, hands)
        gc.freeze()  # what is there now lives as long as we do, and is never gone through again
        gc.enable()

    def _look_after_files(self, tasks: asyncio.TaskGroup, storage: Storage, publisher: Publisher) -> Inspector:
        """What was missing at the start is fetched again; the rest is read, slowly, from now on."""
        for record in storage.damaged:
            tasks.create_task(publisher.repair(record.checksum), name=f"repair of {record.checksum}")
        parts = (self._catalogue, storage.threads, self._metrics)
        inspector = Inspector(self._config.firmware, *parts, publisher.repair, time.monotonic)
        tasks.create_task(inspector.run(), name="inspection")
        return inspector

    def _uplink(self, outbox: Outbox, storage: Storage) -> Uplink:
        csms, controller = self._config.csms, self._config.controller
        dialler = Dialler(controller.identity, csms, self._csms_tls, SOFTWARE, time.time)
        clock = Clock(time.time, time.monotonic, random.random, lambda: str(uuid.uuid4()))

        async def settle(answered: Notification) -> None:
            try:
                await storage.database.settle(answered)
            except StorageError as fault:
                self._disk.failed(fault)
                raise

        return Uplink(dialler, controller, csms, outbox, settle, self._metrics, clock)

    def _workshop(self, storage: Storage, origin: Origins, uplink: Uplink) -> Workshop:
        firmware = self._config.firmware
        throttle = Throttle(firmware.max_rate, time.monotonic)
        return Workshop(
            storage.database,
            storage.shelf,
            self._catalogue,
            Downloading(firmware, origin, self._files, storage.threads, self._metrics, time.monotonic, throttle),
            Slots(firmware.max_concurrent_downloads),
            Gate(firmware.download_window, time.time),
            self._listeners.uris,
            uplink.notify,
            time.time,
            random.random,
            self._disk.failed,
        )

    def _rooms(self, uplink: Uplink, outbox: Outbox, publisher: Publisher) -> Rooms:
        return Rooms(
            self._config,
            VERSION,
            uplink,
            outbox,
            self._listeners.door,
            publisher,
            self._catalogue,
            (Pulse("main", self._metrics), *self._listeners.pulses),
            self._listeners.told,
            self._disk,
            self._listeners.uris,
            (*([self._csms_certificate.files] if self._csms_certificate else ()), *self._listeners.certificates),
            self._recent,
            self._reload.told,
        )

    def _views(self, rooms: Rooms) -> Views:
        refresh, registry = rooms.publisher.count, self._metrics.registry
        return Views(rooms.unhealthy, rooms.unready, rooms.summary, rooms.stations, refresh, registry)

    async def _watch_database(self, database: Database) -> None:
        """Raise DatabaseDamaged once it is: the next start makes it anew."""
        await database.damaged.wait()
        raise DatabaseDamaged(str(self._state_dir / DATABASE), "localctl must be started again, which makes it anew")

    async def _feed_watchdog(self, rooms: Rooms, interval: float) -> None:
        """Only while every loop turns: systemd restarts a daemon that hangs."""
        while True:
            if not rooms.unhealthy():
                self._notifier.watchdog()
            await asyncio.sleep(interval)
