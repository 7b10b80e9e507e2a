"""Every series that localctl exports: name, help, labels (``interface.md``, Metrics).

One object on a registry handed in. Every label value of a closed set exists from the start with 0, so that a rate or
an alert on it works before it first happens. No label carries a station, a URL or a file; where the site wants it,
``attendance`` has a series a station.
"""

import logging
import math
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from localctl.attendance import Attendance
from localctl.traffic import Traffic

PROTOCOLS: Final = ("http", "https", "ftp")
CONNECTION_FAILURES: Final = ("refused", "timeout", "dns", "tls", "auth", "closed", "protocol")
HANDSHAKES: Final = (
    "accepted",
    "refused_by_csms",
    "csms_unreachable",
    "csms_invalid",
    "identity",
    "subprotocol",
    "full",
    "stopping",
    "password",
    "certificate",
    "tls",
    "failed",
)
DISCONNECTS: Final = (
    "station",
    "csms",
    "replaced",
    "oversize",
    "invalid",
    "timeout",
    "certificate",
    "stopping",
    "failed",
)
AUTHENTICATED: Final = ("stations.ws", "stations.wss", "admin")  # the listeners that may ask who comes
# Of OCPP's list (Part 2, appendices) those that a Local Controller can see, and one of ours.
SECURITY_EVENTS: Final = (
    "FailedToAuthenticateAtCsms",  # a station to us, or we to the CSMS
    "InvalidChargingStationCertificate",  # A00.FR.408; B01.FR.12
    "InvalidCsmsCertificate",  # A00.FR.310, FR.413
    "InvalidTLSVersion",  # A00.FR.315, FR.418
    "InvalidTLSCipherSuite",  # A00.FR.322, FR.425
    "OwnIdentityClaimed",  # by a station, which would displace the uplink
)
PUBLISH_RESULTS: Final = ("Published", "DownloadFailed", "InvalidChecksum", "PublishFailed", "cancelled")
PUBLICATION_STATES: Final = ("scheduled", "downloading", "paused", "verified")
DOWNLOAD_RESULTS: Final = ("complete", "failed", "refused", "cancelled")
TRANSFER_RESULTS: Final = ("complete", "aborted", "idle")
REFUSALS: Final = ("not_found", "busy", "busy_address", "network", "stopping")
OPERATIONS: Final = ("read", "write", "fsync", "rename", "unlink", "commit")
LOOPS: Final = ("main", "http", "https", "ftp")
ACTIONS: Final = (
    "BootNotification",
    "Heartbeat",
    "PublishFirmwareStatusNotification",
    "FirmwareStatusNotification",
    "LogStatusNotification",
)
CERTIFICATES: Final = ("csms", "stations.wss", "stations.wss.rsa", "publish.https", "publish.ftp")
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

M = TypeVar("M", bound=MetricWrapperBase)


class _Process(ProcessCollector):
    """The process's own series. It shows none without the time of boot, and systemd's sandbox hides /proc/stat."""

    def _boot_time(self) -> float:
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


class Metrics:
    """Every series, each as an attribute named as the metric without its prefix and unit endings."""

    def __init__(self, registry: CollectorRegistry, version: str) -> None:
        self.registry = registry
        Info("localctl_build", "The running localctl.", registry=registry).info(
            {"version": version, "python": platform.python_version()}
        )
        _Process(registry=registry)
        PlatformCollector(registry=registry)
        self.config_last_reload_successful = self._gauge(
            "config_last_reload_successful", "1 if the configuration was taken over when it was last read, else 0."
        )
        self.config_last_reload_success = self._gauge(
            "config_last_reload_success_timestamp_seconds", "When the configuration in use was read, Unix time."
        )
        self._uplink()
        self._clock()
        self._relay()
        self._mirror()
        self._serve()
        self.tls_certificate_expiry = self._gauge(
            "tls_certificate_expiry_timestamp_seconds",
            "When the certificate in use there, or one of its chain, ends, Unix time; 0: none. Roles are named as the"
            " sections: csms is the one that the controller shows to the CSMS, the others are shown to stations.",
            role=CERTIFICATES,
        )
        self.log_messages = self._counter("log_messages", "Messages logged.", level=LEVELS)
        self.event_loop_lag = self._gauge(
            "event_loop_lag_seconds", "The latest that the loop was in the last minute.", loop=LOOPS
        )

    def _uplink(self) -> None:
        self.csms_connected = self._gauge("csms_connected", "1 while the uplink is open and the boot accepted.")
        self.csms_last_seen = self._gauge(
            "csms_last_seen_timestamp_seconds", "When the CSMS last sent anything on the uplink, Unix time."
        )
        self.csms_connects = self._counter("csms_connects", "Uplink connections opened.")
        self.csms_connection_failures = self._counter(
            "csms_connection_failures", "Uplink connections that failed or broke.", reason=CONNECTION_FAILURES
        )
        self.csms_call_duration = Histogram(
            "localctl_csms_call_duration_seconds", "From a CALL to its answer.", ["action"],
            registry=self.registry, buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
        )  # fmt: skip
        for action in ACTIONS:
            self.csms_call_duration.labels(action)
        self.csms_queue_messages = self._gauge("csms_queue_messages", "Notifications waiting for the CSMS.")
        self.csms_queue_oldest = self._gauge(
            "csms_queue_oldest_timestamp_seconds", "When the oldest of them was made, Unix time; 0: none waits."
        )

    def _clock(self) -> None:
        self.clock_offset = self._gauge(
            "clock_offset_seconds",
            "How far this machine's clock is ahead of the CSMS's, negative: behind, by its last answer to"
            " BootNotification or Heartbeat; NaN before the first.",
        )
        self.clock_offset.set(math.nan)

    def _relay(self) -> None:
        self.stations_connected = self._gauge("stations_connected", "Stations relayed now.")
        self.station_handshakes = self._counter(
            "station_handshakes", "Opening handshakes of stations.", result=HANDSHAKES
        )
        self.station_disconnects = self._counter(
            "station_disconnects", "Relays that ended, by what ended them.", reason=DISCONNECTS
        )
        self.traffic = Traffic(self.registry)
        self.attendance = Attendance(self.registry)
        self.auth_failures = self._counter(
            "auth_failures",
            "Stations that failed to prove who they are by TLS, certificate or password; admin: wrong passwords.",
            listener=AUTHENTICATED,
        )  # fmt: skip
        self.security_events = self._counter(
            "security_events", "Security events seen, by OCPP's names of them.", type=SECURITY_EVENTS
        )

    def _mirror(self) -> None:
        self.publish_requests = self._counter(
            "publish_requests", "PublishFirmware requests answered.", status=("Accepted", "Rejected")
        )
        self.publish_results = self._counter("publish_results", "Publications ended.", status=PUBLISH_RESULTS)
        self.unpublish_requests = self._counter(
            "unpublish_requests", "UnpublishFirmware requests answered.",
            status=("Unpublished", "DownloadOngoing", "NoFirmware"),
        )  # fmt: skip
        self.publications = self._gauge("publications", "Publications under way.", state=PUBLICATION_STATES)
        self.download_attempts = self._counter("download_attempts", "Tries to fetch a file.", result=DOWNLOAD_RESULTS)
        self.download_bytes = self._counter("download_bytes", "Bytes of bodies fetched from origins.")
        self.download_duration = Histogram(
            "localctl_download_duration_seconds", "Duration of a try that fetched its file.",
            registry=self.registry, buckets=(1, 5, 15, 60, 300, 900, 3600, 14400),
        )  # fmt: skip
        self.firmware_published_files = self._gauge("firmware_published_files", "Files published now.")
        self.firmware_published_bytes = self._gauge("firmware_published_bytes", "Bytes of files published now.")
        self.firmware_integrity_failures = self._counter(
            "firmware_integrity_failures", "Stored files found damaged or missing."
        )
        self.storage_errors = self._counter("storage_errors", "Disk operations failed.", operation=OPERATIONS)
        self.storage_free = self._gauge("storage_free_bytes", "Free space in the state directory.")
        self.storage_size = self._gauge("storage_size_bytes", "Size of the file system of the state directory.")

    def _serve(self) -> None:
        self.firmware_downloads_in_progress = self._gauge(
            "firmware_downloads_in_progress", "Transfers to stations under way.", protocol=PROTOCOLS
        )
        self.firmware_downloads = self._counter(
            "firmware_downloads", "Transfers to stations ended.", protocol=PROTOCOLS, result=TRANSFER_RESULTS
        )
        self.firmware_sent_bytes = self._counter(
            "firmware_sent_bytes", "Bytes of firmware sent to stations.", protocol=PROTOCOLS
        )
        self.firmware_refused = self._counter(
            "firmware_refused", "Requests of stations refused.", protocol=PROTOCOLS, reason=REFUSALS
        )

    def _counter(self, name: str, documentation: str, **labels: Sequence[str]) -> Counter:
        return _with_zeros(
            Counter(f"localctl_{name}", documentation, list(labels), registry=self.registry), labels.values()
        )

    def _gauge(self, name: str, documentation: str, **labels: Sequence[str]) -> Gauge:
        return _with_zeros(
            Gauge(f"localctl_{name}", documentation, list(labels), registry=self.registry), labels.values()
        )

    def log_handler(self) -> logging.Handler:
        """A handler that counts what is logged."""
        return _Count(lambda level: self.log_messages.labels(level).inc())


def _with_zeros(metric: M, values: Iterable[Sequence[str]]) -> M:
    combined: list[tuple[str, ...]] = [()]
    for axis in values:
        combined = [(*row, value) for row in combined for value in axis]
    for row in combined:
        if row:
            metric.labels(*row)
    return metric


class _Count(logging.Handler):
    def __init__(self, count: Callable[[str], None]) -> None:
        super().__init__()
        self._count = count

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelname in LEVELS:
            self._count(record.levelname)
