"""A certificate that is replaced on disk is used without a restart; that listeners do is proved with them."""

import math
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from prometheus_client import CollectorRegistry

from localctl import renewal
from localctl.errors import ConfigurationError
from localctl.metrics import Metrics
from localctl.renewal import Certificate, Files, InUse, csms_context
from localctl.sections import Csms
from localctl.tls import server_context

YEARS = [datetime(year, 1, 1, tzinfo=UTC) for year in (2041, 2042, 2043)]


@pytest.fixture
def metrics() -> Metrics:
    """Metrics of their own."""
    return Metrics(CollectorRegistry(), "0")


@pytest.fixture
def files(tmp_path: Path, metrics: Metrics) -> Files:
    """Two files, watched."""
    (tmp_path / "c.pem").write_text("1")
    (tmp_path / "c.key").write_text("1")
    return Files("publish.https", str(tmp_path / "c.pem"), str(tmp_path / "c.key"), metrics)


def issued(files: Files, *ends: datetime) -> None:
    """Put a certificate into the files that ends then, with others behind it in its file."""
    own, *others = [trustme.CA().issue_cert("127.0.0.1", not_after=end) for end in ends]
    own.private_key_pem.write_to_path(files.key_file)
    Path(files.cert_file).write_bytes(b"".join(each.cert_chain_pems[0].bytes() for each in (own, *others)))


def expiry(metrics: Metrics) -> float | None:
    """What the metric tells of the certificate."""
    name = "localctl_tls_certificate_expiry_timestamp_seconds"
    return metrics.registry.get_sample_value(name, {"role": "publish.https"})


def test_what_is_left_alone_has_not_changed(files: Files) -> None:
    """Nothing is loaded again that is as it was."""
    assert [files.have_changed() for _ in range(3)] == [False, False, False]


def test_a_change_is_told_once_it_has_settled(files: Files) -> None:
    """Between the two files of one renewal nothing is loaded; then once."""
    Path(files.cert_file).write_text("22")
    assert not files.have_changed()
    Path(files.key_file).write_text("22")
    assert not files.have_changed()
    assert [files.have_changed() for _ in range(3)] == [True, False, False]


def test_files_that_are_gone_have_not_changed(files: Files) -> None:
    """While a file is being moved into place there is nothing to load; another of the same size is a change."""
    Path(files.key_file).unlink()
    assert [files.have_changed() for _ in range(2)] == [False, False]
    Path(files.key_file).write_text("3")
    os.utime(files.key_file, (1, 1))
    assert [files.have_changed() for _ in range(3)] == [False, True, False]


def test_what_does_not_load_is_told_once(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    """A warning that names the key and says that the old one stays."""

    def fail() -> None:
        raise ConfigurationError(("publish.https.key_file: is damaged",))

    issued(files, YEARS[0])
    for _ in range(4):
        files.renew(fail)
    assert [record.getMessage() for record in caplog.records] == [
        "The new certificate is of no use, and the old one stays: publish.https.key_file: is damaged"
    ]


def test_the_metric_tells_when_the_chain_ends(files: Files, metrics: Metrics) -> None:
    """The first of a chain to end ends it; a new one counts once it is in use, one of no use never."""
    issued(files, YEARS[1], YEARS[0], YEARS[2])
    certificate = Certificate(files, lambda: server_context(files.section, files.cert_file, files.key_file))
    assert expiry(metrics) == YEARS[0].timestamp()
    issued(files, YEARS[2])
    files.renew(certificate._load)
    assert expiry(metrics) == YEARS[0].timestamp()
    files.renew(certificate._load)
    assert expiry(metrics) == YEARS[2].timestamp()
    assert files.in_use == InUse("publish.https", files.cert_file, "127.0.0.1", YEARS[2].timestamp())
    issued(files, YEARS[1])
    Path(files.key_file).write_text("1")
    for _ in range(3):
        files.renew(certificate._load)
    assert expiry(metrics) == YEARS[2].timestamp()


def test_what_only_openssl_understands_is_used(files: Files, metrics: Metrics) -> None:
    """A certificate whose end cannot be read is no reason to serve nobody: the metric tells no time."""
    Path(files.cert_file).write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
    assert files.use(lambda: "loaded") == "loaded"
    told = expiry(metrics)
    assert told is not None
    assert math.isnan(told)
    assert files.in_use == InUse("publish.https", files.cert_file, "", None)


def test_files_are_looked_at_every_few_seconds() -> None:
    """Often enough for who renews by hand, seldom enough for a small disk."""
    assert 1 < renewal.LOOK_SECONDS < 30


def test_one_that_has_ended_is_told_once(files: Files, metrics: Metrics, caplog: pytest.LogCaptureFixture) -> None:
    """Row 36: at the start or when its time comes; it is used all the same, and its successor is not told of."""
    now = YEARS[0].timestamp() - 1
    issued(files, YEARS[0])
    made = Files(files.section, files.cert_file, files.key_file, metrics, now=lambda: now)
    assert made.use(lambda: "loaded") == "loaded"
    made.renew(lambda: None)
    assert not caplog.records
    now += 1
    for _ in range(3):
        made.renew(lambda: None)
    ended = "The certificate of publish.https ended on 2041-01-01 00:00 UTC, and is shown until another stands in "
    assert caplog.messages == [f"{ended}the place of {files.cert_file}"]
    issued(made, YEARS[1])
    for _ in range(3):
        made.renew(lambda: None)
    assert len(caplog.messages) == 1
    assert expiry(metrics) == YEARS[1].timestamp()


def test_what_the_csms_is_shown(tmp_path: Path, metrics: Metrics) -> None:
    """Nothing without TLS, no certificate where none is named, else one that is watched."""
    assert csms_context(Csms(url="ws://csms.example.com"), metrics) == (None, None)
    context, certificate = csms_context(Csms(url="wss://csms.example.com"), metrics)
    assert (context is not None, certificate) == (True, None)
    own = trustme.CA().issue_cert("LC").private_key_and_cert_chain_pem
    own.write_to_path(str(tmp_path / "own.pem"))
    path = str(tmp_path / "own.pem")
    context, certificate = csms_context(Csms(url="wss://csms.example.com", cert_file=path, key_file=path), metrics)
    assert certificate is not None
    assert certificate.context is context
