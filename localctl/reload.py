"""SIGHUP: the configuration file is read again, and what can be taken over is. Edge: ``changes`` says what that is.

The file is read and made ready for use in a thread. Only where nothing is wrong with it do the rooms take it over, all
of them between two turns of the main loop; otherwise everything stays as it was. No relay and no transfer ends by it.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from localctl.aside import begun
from localctl.changes import Changes, changes
from localctl.config import Config, Firmware, Publish, read, understand
from localctl.errors import ConfigurationError
from localctl.faults import placed
from localctl.logs import set_logging
from localctl.metrics import Metrics
from localctl.mirror.origins.schemes import Origins
from localctl.mirror.workshop import Workshop
from localctl.store.catalogue import Catalogue
from localctl.store.inspector import Inspector
from localctl.systemd import Notifier
from localctl.tls import origins_context
from localctl.uplink.connection import Uplink

log = logging.getLogger("localctl.reload")

PATIENCE_SECONDS: Final = 30.0  # a network's disk may hang, and nobody is to wait for it at a stop

Take = Callable[[], None]
Prepare = Callable[[Config], Take]  # in a thread: raises ConfigurationError where what is named there is of no use


def prepares(
    catalogue: Catalogue,
    uplink: Uplink,
    workshop: Workshop,
    origins: Origins,
    inspector: Inspector,
    listeners: Prepare,
) -> tuple[Prepare, ...]:
    """What these, and the log before them, do for another configuration."""

    def lend(publish: Publish) -> None:
        catalogue.reconfigure(publish.max_transfers, publish.max_transfers_per_address, publish.allowed_networks)

    return (
        lambda config: partial(set_logging, config.log.level, config.log.format),
        lambda config: partial(uplink.reconfigure, config.csms),
        lambda config: partial(lend, config.publish),
        lambda config: _fetching(config.firmware, workshop, origins, inspector),
        listeners,
    )


def _fetching(firmware: Firmware, workshop: Workshop, origins: Origins, inspector: Inspector) -> Take:
    tls = origins_context(firmware.ca_file)

    def take() -> None:
        workshop.reconfigure(firmware)
        origins.reconfigure(firmware, tls)
        inspector.reconfigure(firmware)

    return take


class Reload:
    """The configuration in use, which came from ``path``. ``now`` tells Unix seconds; reading may take ``patience``."""

    def __init__(
        self,
        path: Path,
        config: Config,
        metrics: Metrics,
        now: Callable[[], float] = time.time,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._patience = patience
        self._path = path
        self._config = config
        self._metrics = metrics
        self._now = now
        self._asked = asyncio.Event()
        self._loaded()

    def ask(self) -> None:
        """SIGHUP has come: read the file again, once more where that is being done already."""
        self._asked.set()

    def told(self) -> dict[str, Any]:
        """For the status document: the file, when what is in use was read, and why it was refused since; else None."""
        return {"path": str(self._path.absolute()), "loaded_at": self._loaded_at, "reload_error": self._error or None}

    async def run(self, prepares: Sequence[Prepare], notifier: Notifier) -> None:
        """Whenever it is asked for; until cancelled. Each of ``prepares`` makes one room ready for a configuration."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            notifier.reloading()
            await self.once(prepares)
            who = self._config.controller.identity
            refused = "; the new configuration was refused, see the log" if self._error else ""
            notifier.ready(f"{who} is ready for stations{refused}")

    async def once(self, prepares: Sequence[Prepare]) -> None:
        """Read it again; what is wrong with it is logged, and told."""
        try:
            async with asyncio.timeout(self._patience):
                found, takes = await asyncio.wrap_future(begun(partial(self._prepare, prepares), "reload"))
            for take in takes:
                take()
        except TimeoutError:
            self._refused(f"{self._path}, or a file that it names, could not be read within {self._patience:.0f} s")
        except ConfigurationError as fault:
            self._refused("; ".join(fault.faults))
        except Exception:  # ours, whatever it is: no relay ends by it
            log.exception("The configuration could not be read again by a fault of localctl")
            self._refused(f"{self._path}: could not be read again by a fault of localctl")
        else:
            self._config = found.config
            self._loaded()
            self._say(found)

    def _prepare(self, prepares: Sequence[Prepare]) -> tuple[Changes, list[Take]]:
        content, name = read(self._path), str(self._path)
        try:
            found = changes(self._config, understand(content, name, os.environ))
            return found, [prepare(found.config) for prepare in prepares]
        except ConfigurationError as fault:
            text = content.decode(errors="replace")
            raise ConfigurationError(tuple(placed(line, name, text) for line in fault.faults)) from None

    def _loaded(self) -> None:
        self._error = ""
        self._loaded_at = self._now()
        self._metrics.config_last_reload_successful.set(1)
        self._metrics.config_last_reload_success.set(self._loaded_at)

    def _refused(self, why: str) -> None:
        self._error = why
        self._metrics.config_last_reload_successful.set(0)
        log.error("The configuration is refused, and the one before it stays: %s", why)

    def _say(self, found: Changes) -> None:
        nothing = "nothing, as what differs takes a restart" if found.restart else "nothing, as nothing differs"
        log.info("%s was read again; taken over: %s", self._path, ", ".join(found.live) or nothing)
        if found.restart:
            advice = "until a restart (localctl check, then systemctl restart localctl)"
            log.warning("%s: these stay as they were %s: %s", self._path, advice, ", ".join(found.restart))
