"""The status document and the reasons for being unhealthy or not ready, made from the rooms as they are now."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from localctl.config import Config
from localctl.logs import Recent
from localctl.mirror.job import Job
from localctl.mirror.publisher import Publisher
from localctl.pulse import Pulse
from localctl.relay.door import Door
from localctl.renewal import Files
from localctl.store.catalogue import Catalogue, PublishedFile
from localctl.store.disk import Disk
from localctl.uplink.connection import Uplink
from localctl.uplink.outbox import Outbox

SILENT_SECONDS: Final = 10.0  # a loop that has not turned for so long hangs


@dataclass(frozen=True, slots=True)
class Rooms:
    """What is looked at. ``door`` is None where no station listener is configured; ``certificates`` are ours."""

    config: Config
    version: str
    uplink: Uplink
    outbox: Outbox
    door: Door | None
    publisher: Publisher
    catalogue: Catalogue
    pulses: Sequence[Pulse]
    listeners: Mapping[str, str]
    disk: Disk
    uris: Callable[[str, str], tuple[str, ...]]
    certificates: Sequence[Files]
    recent: Recent
    configuration: Callable[[], Mapping[str, Any]] = dict

    def unhealthy(self) -> tuple[str, ...]:
        """Each loop that hangs."""
        return tuple(
            f"the {pulse.loop} loop has not turned for {pulse.silent_for():.0f} s"
            for pulse in self.pulses
            if pulse.silent_for() > SILENT_SECONDS
        )

    def unready(self) -> tuple[str, ...]:
        """What keeps us from doing our job."""
        reasons = list(self.unhealthy())
        if self.uplink.link is None:
            reasons.append(f"not connected to the CSMS: {self.uplink.last_error or 'still connecting'}")
        elif not self.uplink.session.is_accepted:
            said = self.uplink.session.registration or "nothing yet"
            reasons.append(f"the CSMS has not accepted our BootNotification: it answered {said}")
        return (*reasons, *self.disk.troubles())

    def document(self) -> dict[str, Any]:
        """``/api/status``: all of it, as JSON takes it. Times are Unix seconds, sizes bytes."""
        return self.summary() | {"stations": list(self.stations())}

    def summary(self) -> dict[str, Any]:
        """All but the stations, which may be many: ``stations`` is empty."""
        reasons = self.unready()
        return {
            "version": self.version,
            "identity": self.config.controller.identity,
            "ready": not reasons,
            "reasons": reasons,
            "configuration": dict(self.configuration()),
            "uplink": self._uplink(),
            "stations": [],
            "firmware": [self._published(file) for file in self.catalogue.files()]
            + [_under_way(job) for job in self.publisher.jobs()],
            "transfers": self._transfers(),
            "disk": dict(self.disk.space),
            "listeners": dict(self.listeners),
            "certificates": [asdict(files.in_use) for files in self.certificates if files.in_use],
            "loops": {pulse.loop: _lag(pulse) for pulse in self.pulses},
            "events": self.recent.events(),
        }

    def stations(self) -> Iterator[dict[str, Any]]:
        """Those relayed now, one by one; who asks may do other things between two of them."""
        for relay in self.door.relays() if self.door else ():
            station = relay.seen()
            yield {
                "identity": station.identity,
                "ocpp_version": station.ocpp_version,
                "peer": station.peer,
                "since": station.since,
                "last_message_at": station.last_message_at,
            }

    def _uplink(self) -> dict[str, Any]:
        link = self.uplink.link
        return {
            "url": self.config.csms.url,
            "connected": link is not None,
            "ocpp_version": link.version if link else None,
            "since": link.since if link else None,
            "last_seen": self.uplink.last_seen,
            "registration": self.uplink.session.registration,
            "queue": len(self.outbox),
            "last_error": self.uplink.last_error,
        }

    def _published(self, file: PublishedFile) -> dict[str, Any]:
        return {
            "checksum": file.checksum,
            "name": file.name,
            "size": file.size,
            "state": "published",
            "published_at": file.published_at,
            "uris": self.uris(file.checksum, file.name),
        }

    def _transfers(self) -> list[dict[str, Any]]:
        loans = self.catalogue.loans()
        known = self._by_address() if loans else {}
        return [
            {
                "protocol": loan.protocol,
                "peer": loan.peer,
                "station": known.get(loan.peer),
                "checksum": loan.file.checksum,
                "name": loan.file.name,
                "sent": loan.sent,
                "size": loan.file.size,
                "started_at": loan.started_at,
            }
            for loan in loans
        ]

    def _by_address(self) -> dict[str, str | None]:
        """Whose an address is; None where several stations come from it, as behind a router."""
        found: dict[str, str | None] = {}
        for relay in self.door.relays() if self.door else ():
            found[relay.peer] = None if relay.peer in found else relay.identity
        return found


def _lag(pulse: Pulse) -> dict[str, float]:
    return {"lag": round(pulse.worst(), 4), "lag_p99": round(pulse.usual_worst(), 4)}


def _under_way(job: Job) -> dict[str, Any]:
    publication, download = job.publication, job.download
    resume = download.resume if download else publication.resume
    return {
        "request_id": publication.request_id,
        "checksum": publication.checksum,
        "name": publication.name,
        "state": "scheduled" if publication.state.value == "accepted" else publication.state.value,
        "received": download.received if download else resume.offset,
        "total": resume.total,
        "failures": publication.failures,
    }
