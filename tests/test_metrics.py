"""The metrics, as Prometheus reads them."""

import builtins
import logging
import math
import subprocess
from typing import Any

import psutil
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from localctl.metrics import LEVELS, Metrics

DIRECTIONS = {"to_csms", "to_station"}
PROTOCOLS = {"http", "https", "ftp"}
CLOCK = "localctl_clock_offset_seconds"
Labels = dict[str, set[str]]

# The table of interface.md, without what later versions bring (reloads). A series a station: ``test_attendance``.
PROMISED: dict[str, tuple[str, Labels]] = {
    "csms_connected": ("gauge", {}),
    "csms_last_seen_timestamp_seconds": ("gauge", {}),
    "csms_connects": ("counter", {}),
    "csms_connection_failures": (
        "counter",
        {"reason": {"refused", "timeout", "dns", "tls", "auth", "closed", "protocol"}},
    ),
    "csms_queue_messages": ("gauge", {}),
    "config_last_reload_successful": ("gauge", {}),
    "config_last_reload_success_timestamp_seconds": ("gauge", {}),
    "csms_queue_oldest_timestamp_seconds": ("gauge", {}),
    "clock_offset_seconds": ("gauge", {}),
    "stations_connected": ("gauge", {}),
    "relay_messages": (
        "counter",
        {
            "direction": DIRECTIONS,
            "type": {"call", "callresult", "callerror", "callresulterror", "send", "other"},
        },
    ),
    "relay_bytes": ("counter", {"direction": DIRECTIONS}),
    "publish_requests": ("counter", {"status": {"Accepted", "Rejected"}}),
    "unpublish_requests": ("counter", {"status": {"Unpublished", "DownloadOngoing", "NoFirmware"}}),
    "download_bytes": ("counter", {}),
    "firmware_published_files": ("gauge", {}),
    "firmware_published_bytes": ("gauge", {}),
    "firmware_downloads_in_progress": ("gauge", {"protocol": PROTOCOLS}),
    "firmware_sent_bytes": ("counter", {"protocol": PROTOCOLS}),
    "firmware_integrity_failures": ("counter", {}),
    "storage_free_bytes": ("gauge", {}),
    "storage_size_bytes": ("gauge", {}),
    "tls_certificate_expiry_timestamp_seconds": (
        "gauge",
        {"role": {"csms", "stations.wss", "stations.wss.rsa", "publish.https", "publish.ftp"}},
    ),
    "auth_failures": ("counter", {"listener": {"stations.ws", "stations.wss", "admin"}}),
    "log_messages": ("counter", {"level": set(LEVELS)}),
}
# Those whose label values interface.md leaves open: the labels alone.
NAMED: dict[str, tuple[str, set[str]]] = {
    "csms_call_duration_seconds": ("histogram", {"action"}),
    "security_events": ("counter", {"type"}),
    "station_handshakes": ("counter", {"result"}),
    "station_disconnects": ("counter", {"reason"}),
    "relay_rejected_messages": ("counter", {"reason"}),
    "publish_results": ("counter", {"status"}),
    "publications": ("gauge", {"state"}),
    "download_attempts": ("counter", {"result"}),
    "download_duration_seconds": ("histogram", set()),
    "firmware_downloads": ("counter", {"protocol", "result"}),
    "firmware_refused": ("counter", {"protocol", "reason"}),
    "storage_errors": ("counter", {"operation"}),
    "event_loop_lag_seconds": ("gauge", {"loop"}),
    "build": ("info", {"version", "python"}),
}


@pytest.fixture
def metrics() -> Metrics:
    """All metrics as they are at the start."""
    return Metrics(CollectorRegistry(), "1.2.3")


def series(metrics: Metrics) -> dict[str, tuple[str, list[dict[str, str]]]]:
    """By name without prefix: the type and the labels of each series, without the buckets' edges."""
    found: dict[str, tuple[str, list[dict[str, str]]]] = {}
    for family in metrics.registry.collect():
        samples = [
            {name: value for name, value in sample.labels.items() if name != "le"}
            for sample in family.samples
            if not sample.name.endswith("_created")
        ]
        found[family.name.removeprefix("localctl_")] = (family.type, samples)
    return found


def test_prometheus_finds_nothing_wrong(metrics: Metrics) -> None:
    """``promtool check metrics`` is silent: names, units, help."""
    text = generate_latest(metrics.registry)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_every_promised_metric_exists_with_its_values(metrics: Metrics) -> None:
    """Each label value of a closed set is there from the start, and no other."""
    found = series(metrics)
    for name, (kind, labels) in PROMISED.items():
        assert found[name][0] == kind, name
        values = {label: {sample[label] for sample in found[name][1]} for label in labels}
        assert values == labels, name


def test_every_other_promised_metric_exists_with_its_labels(metrics: Metrics) -> None:
    """Names, types and labels are those that dashboards are written with."""
    found = series(metrics)
    for name, (kind, labels) in NAMED.items():
        assert found[name][0] == kind, name
        assert found[name][1], f"{name} has no series before its first event"
        assert {label for sample in found[name][1] for label in sample} == labels, name


def test_nothing_is_exported_unpromised(metrics: Metrics) -> None:
    """What is not in the table is of the process or of Python."""
    rest = set(series(metrics)) - set(PROMISED) - set(NAMED)
    assert {name for name in rest if not name.startswith(("process_", "python_"))} == set()


def test_security_events_are_ocpp_s(metrics: Metrics) -> None:
    """Part 2, appendices: the names of OCPP's security events, and one that only a Local Controller sees."""
    assert {sample["type"] for sample in series(metrics)["security_events"][1]} == {
        "FailedToAuthenticateAtCsms",
        "InvalidChargingStationCertificate",
        "InvalidCsmsCertificate",
        "InvalidTLSVersion",
        "InvalidTLSCipherSuite",
        "OwnIdentityClaimed",
    }


def test_everything_starts_at_zero(metrics: Metrics) -> None:
    """A rate or an alert works before the thing first happens."""
    samples = [
        sample
        for family in metrics.registry.collect()
        if family.name.startswith("localctl_") and family.type != "info" and family.name != CLOCK
        for sample in family.samples
        if not sample.name.endswith("_created")
    ]
    assert samples
    assert {sample.value for sample in samples} == {0.0}


def test_a_clock_that_nobody_has_compared_is_neither_right_nor_wrong(metrics: Metrics) -> None:
    """NaN: no comparison with it holds, so no alert does."""
    assert math.isnan(metrics.registry.get_sample_value(CLOCK) or 0)


def test_build_tells_both_versions(metrics: Metrics) -> None:
    """Which localctl runs on which Python."""
    [labels] = series(metrics)["build"][1]
    assert labels["version"] == "1.2.3"
    assert labels["python"].startswith("3.")


def test_log_messages_are_counted_by_level(metrics: Metrics) -> None:
    """Each message that is logged counts once, at its level; a level of somebody else's making does not."""
    log = logging.getLogger("localctl.test_metrics")
    log.setLevel(logging.DEBUG)
    handler = metrics.log_handler()
    log.addHandler(handler)
    try:
        log.warning("one")
        log.warning("two")
        log.error("three")
        log.log(logging.INFO + 5, "nameless")
    finally:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)
    counts = {
        level: metrics.registry.get_sample_value("localctl_log_messages_total", {"level": level}) for level in LEVELS
    }
    assert counts == {"DEBUG": 0, "INFO": 0, "WARNING": 2, "ERROR": 1, "CRITICAL": 0}


def test_process_is_shown_where_only_processes_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """ProcSubset=pid hides /proc/stat, from which prometheus-client would take the time of boot."""
    opened, expected = builtins.open, psutil.Process().create_time()

    def without_stat(path: Any, *args: Any, **kwargs: Any) -> Any:
        if path == "/proc/stat":
            raise FileNotFoundError(path)
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", without_stat)
    registry = CollectorRegistry()
    Metrics(registry, "0")
    began = registry.get_sample_value("process_start_time_seconds")
    assert began is not None
    assert abs(began - expected) < 60


def test_two_daemons_in_a_process_do_not_meet() -> None:
    """Everything is on the registry that is handed in."""
    one, other = Metrics(CollectorRegistry(), "1"), Metrics(CollectorRegistry(), "1")
    one.csms_connects.inc()
    assert other.registry.get_sample_value("localctl_csms_connects_total") == 0
