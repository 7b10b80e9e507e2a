"""The stations' TLS, with real certificates and, on the station's side, OpenSSL's own client."""

import ssl
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
import trustme

from localctl.errors import ConfigurationError
from localctl.station_sections import StationsWss
from localctl.tls import station_context
from tests.actors.greeter import greeting, listening

SUITES: Final[Mapping[str, str]] = {  # OCPP's names (A00.FR.318) and OpenSSL's
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
}
EC, RSA = trustme.KeyType.ECDSA, trustme.KeyType.RSA


class Site:
    """The files of an installer, and the section that names them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.ca_file = self.written("ca.pem", self.authority.cert_pem)

    def written(self, name: str, *blobs: trustme.Blob) -> str:
        """The path of a PEM file."""
        (self.folder / name).write_bytes(b"".join(blob.bytes() for blob in blobs))
        return str(self.folder / name)

    def pair(self, name: str, kind: trustme.KeyType) -> tuple[str, str]:
        """A certificate of the gateway's, and its key."""
        leaf = self.authority.issue_cert("127.0.0.1", key_type=kind)
        return self.written(f"{name}.pem", *leaf.cert_chain_pems), self.written(f"{name}.key", leaf.private_key_pem)

    def wss(self, kind: trustme.KeyType = EC, rsa: trustme.KeyType | None = RSA, **keys: str) -> StationsWss:
        """[stations.wss] with one pair, or two."""
        files = dict(zip(("cert_file", "key_file"), self.pair("own", kind), strict=True))
        if rsa:
            files |= dict(zip(("rsa_cert_file", "rsa_key_file"), self.pair("rsa", rsa), strict=True))
        return StationsWss.model_validate(files | keys)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site of its own."""
    return Site(tmp_path)


def shaken(wss: StationsWss, *options: str) -> str:
    """What a station of `openssl s_client` tells of its handshake."""
    with listening(greeting(station_context(wss))) as (host, port):
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"{host}:{port}", *options],
            input=b"", capture_output=True, check=False, timeout=60,
        )  # fmt: skip
    return (done.stdout + done.stderr).decode(errors="replace")


def faults(wss: StationsWss) -> str:
    """The one fault for which a context cannot be made."""
    with pytest.raises(ConfigurationError) as caught:
        station_context(wss)
    [fault] = caught.value.faults
    return fault


@pytest.mark.parametrize("suite", SUITES)
def test_all_four_suites_of_ocpp_are_agreed_on(site: Site, suite: str) -> None:
    """A00.FR.318, FR.421: with two certificates each of the four suites finds the one it needs."""
    told = shaken(site.wss(), "-tls1_2", "-cipher", SUITES[suite], "-CAfile", site.ca_file, "-verify_return_error")
    assert f"Cipher is {SUITES[suite]}" in told
    assert "Verify return code: 0 (ok)" in told


@pytest.mark.parametrize(
    ("algorithms", "kind"), [("ecdsa_secp256r1_sha256", "ECDSA"), ("rsa_pss_rsae_sha256", "RSA-PSS")]
)
def test_tls_1_3_has_both_kinds_too(site: Site, algorithms: str, kind: str) -> None:
    """Where the suite says nothing of the certificate, the signature does."""
    told = shaken(site.wss(), "-tls1_3", "-sigalgs", algorithms)
    assert "New, TLSv1.3" in told
    assert f"Peer signature type: {kind}" in told


def test_the_strongest_of_what_a_station_offers_is_taken(site: Site) -> None:
    """TLS_RSA has no forward secrecy, so it is the last choice (A00.FR.319, note 1)."""
    assert "Cipher is ECDHE-ECDSA-AES" in shaken(site.wss(), "-tls1_2", "-cipher", "AES128-GCM-SHA256:ECDHE+AESGCM")


def test_nothing_is_compressed(site: Site) -> None:
    """A00.FR.321, FR.424."""
    assert "Compression: NONE" in shaken(site.wss(), "-tls1_2", "-comp", "-cipher", "DEFAULT@SECLEVEL=0")


def test_old_tls_is_refused(site: Site) -> None:
    """A00.FR.315, FR.418: TLS 1.1 ends the connection."""
    told = shaken(site.wss(), "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
    assert "alert protocol version" in told
    assert "Cipher is (NONE)" in told


@pytest.mark.parametrize(
    ("least", "option", "suite"),
    [
        ("1.1", "-tls1_1", "AES128-SHA"),
        ("1.0", "-tls1", "AES128-SHA"),
        ("1.0", "-tls1_1", "ECDHE-ECDSA-AES128-SHA"),
        ("1.0", "-tls1_2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ],
)
def test_min_tls_lets_old_stations_in(site: Site, least: str, option: str, suite: str) -> None:
    """``min_tls`` below 1.2 is obeyed, with the suite that OCPP 1.6 security has for such stations."""
    assert f"Cipher is {suite}" in shaken(site.wss(min_tls=least), option, "-cipher", f"{suite}:@SECLEVEL=0")


def test_min_tls_is_no_lower_than_it_says(site: Site) -> None:
    """1.1 is not 1.0, and 1.3 is not 1.2."""
    old = ("-cipher", "DEFAULT@SECLEVEL=0")
    assert "Cipher is (NONE)" in shaken(site.wss(min_tls="1.1"), "-tls1", *old)
    assert "Cipher is (NONE)" in shaken(site.wss(min_tls="1.3"), "-tls1_2", *old)


@pytest.mark.parametrize("kind", [EC, RSA])
def test_stations_show_a_certificate_of_client_ca_file(site: Site, kind: trustme.KeyType) -> None:
    """A00.FR.403, FR.407: of either kind, from these roots; none or another ends the connection."""
    stations = trustme.CA()
    wss = site.wss(client_ca_file=site.written("stations.pem", stations.cert_pem))

    def shown(issuer: trustme.CA) -> tuple[str, ...]:
        own = issuer.issue_cert(common_name="CS-1", key_type=kind)
        chain = site.written("cs.pem", *own.cert_chain_pems, own.private_key_pem)
        return "-cert", chain, "-key", chain

    assert "Cipher is ECDHE-ECDSA" in shaken(wss, "-tls1_2", *shown(stations))
    assert "alert unknown ca" in shaken(wss, "-tls1_2", *shown(trustme.CA()))
    assert "alert handshake failure" in shaken(wss, "-tls1_2")


def test_an_intermediate_authority_is_root_enough(site: Site) -> None:
    """An operator's sub-authority for stations may be named alone (A00.FR.602)."""
    stations = trustme.CA().create_child_ca()
    own = stations.issue_cert(common_name="CS-1")
    chain = site.written("cs.pem", own.cert_chain_pems[0], own.private_key_pem)
    wss = site.wss(client_ca_file=site.written("stations.pem", stations.cert_pem))
    assert "Cipher is ECDHE" in shaken(wss, "-tls1_2", "-cert", chain, "-key", chain)


def test_the_second_pair_is_rsa_and_the_first_is_not(site: Site) -> None:
    """Of two certificates of a kind only one would be shown."""
    assert faults(site.wss(EC, EC)).endswith('rsa.pem" is no RSA certificate; allowed: one')
    assert faults(site.wss(RSA, RSA)) == (
        f'stations.wss.cert_file: "{site.folder}/own.pem" is RSA too; allowed: EC beside rsa_cert_file'
    )
    station_context(site.wss(RSA, None))


def test_bad_files_are_named_by_their_keys(site: Site) -> None:
    """Each of the five keys."""
    wss = site.wss(client_ca_file=site.ca_file)
    for key in ("cert_file", "key_file", "rsa_cert_file", "rsa_key_file", "client_ca_file"):
        broken = wss.model_copy(update={key: "/nonexistent"})
        assert faults(broken) == f'stations.wss.{key}: "/nonexistent" cannot be read: No such file or directory'
    other = site.pair("other", RSA)[1]
    assert faults(wss.model_copy(update={"rsa_key_file": other})).startswith(
        f'stations.wss.rsa_key_file: "{other}" is not the key of stations.wss.rsa_cert_file; '
    )


def test_python_warns_of_nothing(site: Site, recwarn: pytest.WarningsRecorder) -> None:
    """The installer's choice of an old version is told once, in our own words (renewal)."""
    assert station_context(site.wss(min_tls="1.0")).minimum_version is ssl.TLSVersion.TLSv1
    assert not recwarn.list
