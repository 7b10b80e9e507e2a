"""Certificates into contexts, and what is said where a handshake fails: with real handshakes on loopback."""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from localctl.errors import ConfigurationError
from localctl.tls import client_context, explain, origins_context, read_pem, server_context
from tests.actors.greeter import Answer, greeting, listening, plain

NOW = datetime.now(UTC)
HOST = "csms.example"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority that is no root of this system."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    """The path of that authority's certificate."""
    return written(tmp_path / "ca.pem", authority.cert_pem.bytes())


def written(path: Path, content: bytes) -> str:
    """The path of a file that holds ``content``."""
    path.write_bytes(content)
    return str(path)


def csms_context(certificate: trustme.LeafCert, clients: trustme.CA | None = None) -> ssl.SSLContext:
    """A CSMS's side; with ``clients`` it wants a certificate from that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    if clients is not None:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def handshake(client: ssl.SSLContext, answer: Answer, name: str = HOST) -> bytes:
    """Connect to a server that does ``answer``, and return what it sends; raises what the client sees."""
    with (
        listening(answer) as address,
        socket.create_connection(address, 30) as connection,
        client.wrap_socket(connection, server_hostname=name) as tls,
    ):
        return tls.recv(100)


def refusal(client: ssl.SSLContext, answer: Answer, name: str = HOST) -> ssl.SSLError:
    """The error with which the handshake fails."""
    with pytest.raises(ssl.SSLError) as caught:
        handshake(client, answer, name)
    return caught.value


def faults(**files: str) -> str:
    """The one fault for which a context cannot be made."""
    with pytest.raises(ConfigurationError) as caught:
        client_context("csms", **files)
    [fault] = caught.value.faults
    return fault


def test_peer_of_a_trusted_root_is_accepted(authority: trustme.CA, ca_file: str) -> None:
    """Security profile 2: the CSMS's certificate comes from ca_file and has its name; the newest TLS is spoken."""
    server = csms_context(authority.issue_cert(HOST))
    assert handshake(client_context("csms", ca_file=ca_file), greeting(server)) == b"TLSv1.3"


def test_trusted_certificate_need_not_be_a_root(authority: trustme.CA, tmp_path: Path) -> None:
    """An intermediate authority in ca_file is enough: installers are seldom given the root."""
    middle = authority.create_child_ca()
    ca_file = written(tmp_path / "middle.pem", middle.cert_pem.bytes())
    assert handshake(client_context("csms", ca_file=ca_file), greeting(csms_context(middle.issue_cert(HOST))))


def test_own_certificate_is_shown(authority: trustme.CA, ca_file: str, tmp_path: Path) -> None:
    """Security profile 3: a CSMS that wants a certificate gets the one of cert_file."""
    own = authority.issue_cert("LC-0001")
    cert_file = written(tmp_path / "own.pem", own.cert_chain_pems[0].bytes())
    key_file = written(tmp_path / "own.key", own.private_key_pem.bytes())
    server = greeting(csms_context(authority.issue_cert(HOST), clients=authority))
    assert handshake(client_context("csms", ca_file=ca_file, cert_file=cert_file, key_file=key_file), server)
    error = refusal(client_context("csms", ca_file=ca_file), server)
    assert explain(error, NOW.timestamp()) == "it wants a certificate of ours: set cert_file and key_file"


def test_refused_certificate_of_ours_is_told(authority: trustme.CA, ca_file: str, tmp_path: Path) -> None:
    """A certificate of an authority that the CSMS does not know is named as the cause."""
    own = trustme.CA().issue_cert("LC-0001")
    cert_file = written(tmp_path / "own.pem", own.private_key_and_cert_chain_pem.bytes())
    client = client_context("csms", ca_file=ca_file, cert_file=cert_file, key_file=cert_file)
    error = refusal(client, greeting(csms_context(authority.issue_cert(HOST), clients=authority)))
    assert explain(error, NOW.timestamp()) == "it refuses our certificate: cert_file must name one that it accepts"


def test_system_roots_are_trusted_without_a_file() -> None:
    """An empty ca_file asks for the system's roots: what they do not know is refused."""
    error = refusal(client_context("csms"), greeting(csms_context(trustme.CA().issue_cert(HOST))))
    assert explain(error, NOW.timestamp()) == (
        "its certificate comes from no root that we trust: ca_file must name that root"
    )


def test_unknown_issuer_is_told(ca_file: str) -> None:
    """A root other than ca_file's is named as the cause; the clock is not suspected."""
    error = refusal(client_context("csms", ca_file=ca_file), greeting(csms_context(trustme.CA().issue_cert(HOST))))
    assert explain(error, NOW.timestamp()) == (
        "its certificate comes from no root that we trust: ca_file must name that root"
    )


@pytest.mark.parametrize("name", ["other.example", "127.0.0.1"])
def test_wrong_name_is_told(authority: trustme.CA, ca_file: str, name: str) -> None:
    """A certificate for another name or address than the URL's is refused, and told (faults, row 36)."""
    error = refusal(client_context("csms", ca_file=ca_file), greeting(csms_context(authority.issue_cert(HOST))), name)
    assert explain(error, NOW.timestamp()) == "its certificate is for another name than the one in the URL"


def test_expired_certificate_is_told_with_the_clock(authority: trustme.CA, ca_file: str) -> None:
    """Expired, or our clock has jumped ahead: both stand in the line (faults, rows 9 and 36)."""
    server = csms_context(authority.issue_cert(HOST, not_after=NOW - timedelta(days=1)))
    error = refusal(client_context("csms", ca_file=ca_file), greeting(server))
    assert explain(error, datetime(2031, 5, 6, 7, 8, tzinfo=UTC).timestamp()) == (
        "its certificate has expired; is this machine's clock right? it says 2031-05-06 07:08 UTC"
    )


def test_certificate_of_the_future_is_a_clock_problem(authority: trustme.CA, ca_file: str) -> None:
    """A machine without a battery clock starts in 1970, and every certificate is of the future (faults, row 9)."""
    server = csms_context(
        authority.issue_cert(HOST, not_before=NOW + timedelta(days=1), not_after=NOW + timedelta(days=2))
    )
    error = refusal(client_context("csms", ca_file=ca_file), greeting(server))
    assert explain(error, 3600) == (
        "its certificate is not valid yet; is this machine's clock right? it says 1970-01-01 01:00 UTC"
    )


def test_clock_before_we_were_written_is_always_told(ca_file: str) -> None:
    """With such a clock no verdict on a certificate can be relied on."""
    error = refusal(client_context("csms", ca_file=ca_file), greeting(csms_context(trustme.CA().issue_cert(HOST))))
    assert explain(error, 0).endswith("; is this machine's clock right? it says 1970-01-01 00:00 UTC")


def test_peer_without_tls_is_told(ca_file: str) -> None:
    """wss:// to a port that speaks ws:// is the newcomer's error."""
    error = refusal(client_context("csms", ca_file=ca_file), plain)
    assert explain(error, NOW.timestamp()).startswith("it does not speak TLS on that port: ")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_old_tls_is_refused(authority: trustme.CA, ca_file: str) -> None:
    """TLS 1.2 is the least (OCPP 2.0.1 Part 2, A00.FR.313)."""
    client = client_context("csms", ca_file=ca_file)
    assert client.minimum_version == ssl.TLSVersion.TLSv1_2
    server = csms_context(authority.issue_cert(HOST))
    server.set_ciphers("DEFAULT:@SECLEVEL=0")
    server.minimum_version = server.maximum_version = ssl.TLSVersion.TLSv1_1
    error = refusal(client, greeting(server))
    assert explain(error, NOW.timestamp()) == "it speaks no version of TLS that we allow (1.2 and later)"


def test_unknown_reason_is_passed_on() -> None:
    """What has no words of its own is told as it came, also where OpenSSL did not raise it."""
    now = NOW.timestamp()
    assert explain(ssl.SSLError("no luck"), now) == "TLS failed: no luck"
    assert explain(ssl.SSLCertVerificationError("no luck"), now) == "its certificate cannot be verified: no luck"


def test_missing_file_names_its_key(ca_file: str, tmp_path: Path) -> None:
    """Each of the three keys is named when its file is not there."""
    gone = str(tmp_path / "gone.pem")
    cannot = f'"{gone}" cannot be read: No such file or directory'
    assert faults(ca_file=gone) == f"csms.ca_file: {cannot}"
    assert faults(cert_file=gone, key_file=ca_file) == f"csms.cert_file: {cannot}"
    assert faults(cert_file=ca_file, key_file=gone) == f"csms.key_file: {cannot}"


def test_file_of_another_kind_names_its_key(authority: trustme.CA, ca_file: str, tmp_path: Path) -> None:
    """A key in place of a certificate, a certificate in place of a key, DER in place of PEM."""
    key_file = written(tmp_path / "own.key", authority.private_key_pem.bytes())
    der = written(tmp_path / "ca.der", ssl.PEM_cert_to_DER_cert(authority.cert_pem.bytes().decode()))
    assert faults(ca_file=key_file) == f'csms.ca_file: "{key_file}" holds no certificate in PEM form'
    assert faults(ca_file=der) == f'csms.ca_file: "{der}" holds no certificate in PEM form'
    assert faults(cert_file=key_file, key_file=ca_file).startswith("csms.cert_file: ")
    assert faults(cert_file=ca_file, key_file=ca_file) == (
        f'csms.key_file: "{ca_file}" holds no private key in PEM form'
    )


def test_damaged_file_names_its_key(authority: trustme.CA, tmp_path: Path) -> None:
    """A certificate or a key with a hole in it."""
    own = authority.issue_cert(HOST)
    cert_file = written(tmp_path / "own.pem", own.cert_chain_pems[0].bytes())
    hole = written(tmp_path / "hole.pem", authority.cert_pem.bytes().replace(b"M", b"", 1))
    key_hole = written(tmp_path / "hole.key", own.private_key_pem.bytes().replace(b"M", b"", 1))
    assert faults(ca_file=hole) == f'csms.ca_file: "{hole}" holds a damaged certificate'
    assert f'csms.cert_file: "{cert_file}" or {key_hole} is damaged' in faults(cert_file=cert_file, key_file=key_hole)


@pytest.mark.parametrize("key_type", trustme.KeyType)
def test_key_of_another_certificate_is_told(authority: trustme.CA, tmp_path: Path, key_type: trustme.KeyType) -> None:
    """The key must be the one of the certificate, whatever its kind."""
    cert_file = written(tmp_path / "own.pem", authority.issue_cert(HOST).cert_chain_pems[0].bytes())
    key_file = written(tmp_path / "own.key", authority.issue_cert(HOST, key_type=key_type).private_key_pem.bytes())
    assert faults(cert_file=cert_file, key_file=key_file) == (
        f'csms.key_file: "{key_file}" is not the key of csms.cert_file; '
        "allowed: the key that the certificate was made with"
    )


def test_encrypted_key_is_told_and_nobody_is_asked(authority: trustme.CA, tmp_path: Path) -> None:
    """A daemon has no terminal for a passphrase."""
    own = authority.issue_cert(HOST)
    key = serialization.load_pem_private_key(own.private_key_pem.bytes(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"geheim"),
    )
    cert_file = written(tmp_path / "own.pem", own.cert_chain_pems[0].bytes())
    key_file = written(tmp_path / "own.key", encrypted)
    assert faults(cert_file=cert_file, key_file=key_file) == (
        f'csms.key_file: "{key_file}" is encrypted; allowed: a key without a passphrase'
    )


def test_pem_file_is_read_whole(ca_file: str) -> None:
    """The bytes are the file's."""
    assert read_pem("csms.ca_file", ca_file) == Path(ca_file).read_bytes()


@pytest.fixture
def own(authority: trustme.CA, tmp_path: Path) -> tuple[str, str]:
    """The certificate and the key of a listener."""
    leaf = authority.issue_cert(HOST, key_type=trustme.KeyType.ECDSA)
    cert_file = written(tmp_path / "own.pem", leaf.cert_chain_pems[0].bytes())
    return cert_file, written(tmp_path / "own.key", leaf.private_key_pem.bytes())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_listener_speaks_both_versions(ca_file: str, own: tuple[str, str], version: ssl.TLSVersion) -> None:
    """TLS 1.2 and 1.3 to whoever trusts the authority."""
    client = client_context("csms", ca_file=ca_file)
    client.minimum_version = client.maximum_version = version
    assert handshake(client, greeting(server_context("publish.https", *own))) == version.name.replace("_", ".").encode()


@pytest.mark.parametrize(
    ("suite", "key_type"),
    [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", trustme.KeyType.ECDSA),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", trustme.KeyType.ECDSA),
        ("AES128-GCM-SHA256", trustme.KeyType.RSA),
        ("AES256-GCM-SHA384", trustme.KeyType.RSA),
    ],
)
def test_listener_has_the_suites_of_ocpp(
    authority: trustme.CA, ca_file: str, tmp_path: Path, suite: str, key_type: trustme.KeyType
) -> None:
    """Part 2, A00: a station that knows but one of the four suites is served, given a certificate of its kind."""
    leaf = authority.issue_cert(HOST, key_type=key_type)
    both = written(tmp_path / "both.pem", leaf.private_key_and_cert_chain_pem.bytes())
    client = client_context("csms", ca_file=ca_file)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(suite)
    assert handshake(client, greeting(server_context("publish.https", both, both))) == b"TLSv1.2"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_listener_refuses_old_tls(ca_file: str, own: tuple[str, str]) -> None:
    """TLS 1.1 finds nobody."""
    client = client_context("csms", ca_file=ca_file)
    client.set_ciphers("DEFAULT:@SECLEVEL=0")
    client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
    refusal(client, greeting(server_context("publish.https", *own)))


def test_listener_names_the_key_of_a_bad_file(own: tuple[str, str]) -> None:
    """The section is part of the key."""
    with pytest.raises(ConfigurationError) as caught:
        server_context("publish.https", own[0], own[0])
    assert caught.value.faults == (f'publish.https.key_file: "{own[0]}" holds no private key in PEM form',)


def test_origins_are_trusted_by_one_context(tmp_path: Path) -> None:
    """It is made once; a file that is no list of roots shows before the first origin is asked."""
    make = origins_context("")
    assert make() is make()
    with pytest.raises(ConfigurationError, match=r"firmware\.ca_file"):
        origins_context(str(tmp_path / "none.pem"))
