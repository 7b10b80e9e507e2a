"""The stations' certificates and roots are used as they are on the disk: with real handshakes."""

import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
import trustme
from cryptography import x509
from prometheus_client import CollectorRegistry

from localctl.metrics import Metrics
from localctl.renewal import StationCertificates
from localctl.station_sections import StationsWss
from tests.actors.greeter import greeting, listening

EC, RSA = trustme.KeyType.ECDSA, trustme.KeyType.RSA
SUITES: Final = {EC: "ECDHE-ECDSA-AES128-GCM-SHA256", RSA: "AES128-GCM-SHA256"}
YEARS: Final = (2041, 2042, 2043, 2044)


class Site:
    """Two pairs and the roots of stations, on a disk; a look is taken by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority, self.stations = trustme.CA(), trustme.CA()
        self.metrics = Metrics(CollectorRegistry(), "0")
        self.issue("own", EC, YEARS[0])
        self.issue("rsa", RSA, YEARS[1])
        self.stations.cert_pem.write_to_path(str(folder / "ca.pem"))

    def issue(self, name: str, kind: trustme.KeyType, year: int) -> None:
        """Put a new certificate that ends then in the place of the old one."""
        leaf = self.authority.issue_cert("127.0.0.1", key_type=kind, not_after=datetime(year, 1, 1, tzinfo=UTC))
        leaf.cert_chain_pems[0].write_to_path(str(self.folder / f"{name}.pem"))
        leaf.private_key_pem.write_to_path(str(self.folder / f"{name}.key"))

    def certificates(self, **keys: str) -> StationCertificates:
        """As the daemon has them."""
        files = {
            f"{kind}{which}": f"{self.folder}/{name}.{ending}"
            for kind, name in (("", "own"), ("rsa_", "rsa"))
            for which, ending in (("cert_file", "pem"), ("key_file", "key"))
        }
        return StationCertificates(StationsWss.model_validate(files | keys), self.metrics)

    def expiry(self, role: str) -> int:
        """The year that the metric tells."""
        name = "localctl_tls_certificate_expiry_timestamp_seconds"
        return datetime.fromtimestamp(self.metrics.registry.get_sample_value(name, {"role": role}) or 0, UTC).year


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site of its own."""
    return Site(tmp_path)


def shown(context: ssl.SSLContext, kind: trustme.KeyType, own: trustme.LeafCert | None = None) -> int:
    """The year in which the certificate ends that a station of that kind sees; the station may show its ``own``."""
    station = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    station.check_hostname, station.verify_mode = False, ssl.CERT_NONE
    station.maximum_version = ssl.TLSVersion.TLSv1_2
    station.set_ciphers(SUITES[kind])
    if own:
        own.configure_cert(station)
    with (
        listening(greeting(context)) as address,
        socket.create_connection(address, 30) as link,
        station.wrap_socket(link) as tls,
    ):
        tls.recv(1)
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"").not_valid_after_utc.year


def looked(certificates: StationCertificates) -> None:
    """A change is seen at one look, and used at the next."""
    certificates.look()
    certificates.look()


def test_each_pair_is_renewed_by_itself(site: Site) -> None:
    """New connections are shown the new one, in the same context, and the metrics tell of both by their roles."""
    certificates = site.certificates()
    assert (site.expiry("stations.wss"), site.expiry("stations.wss.rsa")) == YEARS[:2]
    site.issue("rsa", RSA, YEARS[2])
    looked(certificates)
    assert [shown(certificates.context, kind) for kind in (EC, RSA)] == [YEARS[0], YEARS[2]]
    site.issue("own", EC, YEARS[3])
    looked(certificates)
    assert [shown(certificates.context, kind) for kind in (EC, RSA)] == [YEARS[3], YEARS[2]]
    assert (site.expiry("stations.wss"), site.expiry("stations.wss.rsa")) == (YEARS[3], YEARS[2])


def damaged(site: Site) -> None:
    """Half of a key."""
    (site.folder / "rsa.key").write_bytes((site.folder / "rsa.key").read_bytes()[:400] + b"-----END PRIVATE KEY-----")


def of_another_kind(site: Site) -> None:
    """An EC certificate in the place of the RSA one, which would stay beside it."""
    site.issue("rsa", EC, YEARS[2])


@pytest.mark.parametrize(("spoil", "words"), [(damaged, "is damaged"), (of_another_kind, "which takes a restart")])
def test_what_is_of_no_use_leaves_the_old_ones(
    site: Site, spoil: Callable[[Site], None], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning by the key, both old certificates as before, and the other pair is renewed all the same."""
    certificates = site.certificates()
    spoil(site)
    site.issue("own", EC, YEARS[3])
    looked(certificates)
    looked(certificates)
    [line] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "the old one stays: stations.wss.rsa_cert_file: " in line
    assert words in line
    assert [shown(certificates.context, kind) for kind in (EC, RSA)] == [YEARS[3], YEARS[1]]


def test_new_roots_are_trusted(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A station of a root that is added gets in, one of the old root still does; damaged roots change nothing."""
    certificates = site.certificates(client_ca_file=f"{site.folder}/ca.pem")
    old, added = site.stations.issue_cert(common_name="CS-1"), trustme.CA()
    own = added.issue_cert(common_name="CS-2")
    with pytest.raises(ssl.SSLError, match="alert unknown ca"):
        shown(certificates.context, EC, own)
    (site.folder / "ca.pem").write_text("nothing")
    looked(certificates)
    [warning] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith("The new roots are of no use, and the old ones stay: stations.wss.client_ca_file: ")
    added.cert_pem.write_to_path(str(site.folder / "ca.pem"))
    looked(certificates)
    assert {shown(certificates.context, EC, each) for each in (old, own)} == {YEARS[0]}


def test_old_tls_is_warned_of_once(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """At the start, not at each renewal; and not where OCPP allows what is configured (A00.FR.313)."""
    site.certificates(min_tls="1.2")
    assert not caplog.records
    certificates = site.certificates(min_tls="1.0")
    site.issue("own", EC, YEARS[2])
    looked(certificates)
    [warning] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning.startswith("stations.wss.min_tls: stations may use TLS 1.0 and weak encryption")
