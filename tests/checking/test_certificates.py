"""Certificates and roots; those of clients and of the firmware's listeners are in tests/test_checks.py."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from localctl.checking.certificates import of_client, of_listener, of_stations
from localctl.station_sections import StationsWss

NOW = datetime.now(UTC)
EC, RSA = trustme.KeyType.ECDSA, trustme.KeyType.RSA


class Site:
    """The files of [stations.wss]."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.csms_host = "csms.example"
        self.authority = trustme.CA(organization_name="Example CA")
        self.authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        self.issue("own", EC, 100)
        self.issue("rsa", RSA, 100)

    def issue(self, name: str, kind: trustme.KeyType, days: float) -> None:
        """A certificate that ends after so many days."""
        end, begin = NOW + timedelta(days), NOW - timedelta(9)
        leaf = self.authority.issue_cert("gateway.lan", key_type=kind, not_before=begin, not_after=end)
        leaf.cert_chain_pems[0].write_to_path(str(self.folder / f"{name}.pem"))
        leaf.private_key_pem.write_to_path(str(self.folder / f"{name}.key"))

    def found(self, **keys: str) -> list[str]:
        """What is found: verdict, key, words; whatever is not ok has advice."""
        files = {
            "cert_file": "own.pem",
            "key_file": "own.key",
            "rsa_cert_file": "rsa.pem",
            "rsa_key_file": "rsa.key",
            "client_ca_file": "ca.pem",
        }
        section = {key: f"{self.folder}/{name}" for key, name in files.items()} | keys
        checks = list(of_stations(StationsWss.model_validate(section), NOW.timestamp(), self.csms_host))
        assert not [check for check in checks if (check.verdict == "ok") == bool(check.advice)]
        return [f"{check.verdict} {check.what}".replace(f"{self.folder}/", "") for check in checks]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site of its own."""
    return Site(tmp_path)


def test_all_files_of_stations_are_looked_at(site: Site) -> None:
    """Both certificates and the roots, by their keys, with their ends."""
    found = site.found()
    end = f"{NOW + timedelta(100):%Y-%m-%d}"
    assert found[:2] == [
        f'ok stations.wss.cert_file: own.pem, for gateway.lan, by "Example CA", is valid until {end}',
        f'ok stations.wss.rsa_cert_file: rsa.pem, for gateway.lan, by "Example CA", is valid until {end}',
    ]
    assert found[2].startswith("ok stations.wss.client_ca_file: ca.pem is valid until ")
    assert len(found) == 3
    assert len(site.found(rsa_cert_file="", rsa_key_file="", client_ca_file="")) == 1


def test_each_certificate_has_its_own_end(site: Site) -> None:
    """The RSA one may end while the EC one is good."""
    site.issue("rsa", RSA, 3)
    assert [line.split()[0] for line in site.found()] == ["ok", "warn", "ok"]
    site.issue("own", EC, -1)
    assert [line.split()[0] for line in site.found()] == ["FAIL", "warn", "ok"]


def test_what_does_not_load_fails(site: Site) -> None:
    """Another's key, a second EC certificate, roots that are not there."""
    site.issue("other", RSA, 100)
    assert site.found(rsa_key_file=f"{site.folder}/other.key")[0].startswith("FAIL stations.wss.rsa_key_file: ")
    assert site.found(client_ca_file="/nonexistent") == [
        'FAIL stations.wss.client_ca_file: "/nonexistent" cannot be read: No such file or directory'
    ]
    site.issue("rsa", EC, 100)
    assert site.found() == ['FAIL stations.wss.rsa_cert_file: "rsa.pem" is no RSA certificate; allowed: one']


@pytest.mark.parametrize(("least", "warned"), [("1.0", True), ("1.1", True), ("1.2", False), ("1.3", False)])
def test_old_tls_is_a_warning(site: Site, least: str, warned: bool) -> None:  # noqa: FBT001
    """A00.FR.313: below 1.2 only where it must be."""
    line = f"warn stations.wss.min_tls: stations may use TLS {least}, which OCPP forbids (A00.FR.313)"
    assert (line in site.found(min_tls=least)) is warned


def test_clients_and_listeners_are_looked_at_alike(site: Site) -> None:
    """A client's roots and certificate, a listener's certificate; nothing where nothing is named."""
    own, key = f"{site.folder}/own.pem", f"{site.folder}/own.key"
    client = of_client("csms", NOW.timestamp(), ca_file=f"{site.folder}/ca.pem", cert_file=own, key_file=key)
    assert [check.what.partition(":")[0] for check in client] == ["csms.ca_file", "csms.cert_file"]
    [listener] = of_listener("publish.https", own, key, NOW.timestamp())
    assert listener.what.startswith(
        f'publish.https.cert_file: {own}, for gateway.lan, by "Example CA", is valid until '
    )
    assert not list(of_client("csms", NOW.timestamp(), ca_file="", cert_file="", key_file=""))


def test_a_certificate_for_the_csms_s_own_host_is_a_warning(site: Site) -> None:
    """Part 4, 6.5: a station must be able to tell us from the CSMS."""
    site.csms_host = "GATEWAY.lan"
    assert [line for line in site.found() if line.startswith("warn")] == [
        f"warn stations.wss.{key}: it is for GATEWAY.lan, the CSMS's own host, too"
        for key in ("cert_file", "rsa_cert_file")
    ]
