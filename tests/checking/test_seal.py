"""TLS with the CSMS, against certificates of every kind."""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from localctl.checking.names import Shown
from localctl.checking.seal import advice, lasting, of_csms
from localctl.checking.verdict import Check
from localctl.checking.way import Place
from localctl.tls import EXPIRED, NOT_YET_VALID, UNKNOWN_ISSUERS, WRONG_NAMES
from tests.actors.authority import Authority
from tests.actors.greeter import Answer, greeting, listening, plain
from tests.checking.site import config

NOW = datetime.now(UTC)
DAYS = timedelta(days=1)
WHOSE = Shown("CN", "Example CA", ("csms.example",))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who issued the CSMS's certificates."""
    return trustme.CA(organization_name="Example CA", key_type=trustme.KeyType.ECDSA)


def showing(authority: trustme.CA, host: str = "127.0.0.1", begins: float = -9, ends: float = 400) -> Answer:
    """A CSMS with a certificate for ``host``, valid from and to so many days from now."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    kind = trustme.KeyType.ECDSA
    leaf = authority.issue_cert(host, not_before=NOW + begins * DAYS, not_after=NOW + ends * DAYS, key_type=kind)
    leaf.configure_cert(context)
    return greeting(context)


def found(answer: Answer, ca_file: str = "") -> list[Check]:
    """What is found of a CSMS that does so."""
    with listening(answer) as (host, port):
        settings = config(f"wss://{host}:{port}/ocpp", csms={"ca_file": ca_file})
        return list(of_csms(settings, Place(host, port, encrypted=True), NOW.timestamp()))


@pytest.fixture
def roots(authority: trustme.CA, tmp_path: Path) -> str:
    """The file that csms.ca_file is to name."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


def test_a_good_one(authority: trustme.CA, roots: str) -> None:
    """Which TLS, whose certificate, who issued it, and until when."""
    version, certificate = found(showing(authority), roots)
    assert (version.verdict, certificate.verdict) == ("ok", "ok")
    assert version.what.endswith(" speaks TLSv1.3 with a certificate that we trust")
    end = f"{NOW + 400 * DAYS:%Y-%m-%d}"
    assert certificate.what.endswith(f': its certificate, for 127.0.0.1, by "Example CA", is valid until {end}')


def test_one_that_expires_soon(authority: trustme.CA, roots: str) -> None:
    """A month before, there is still time to ask for another."""
    _, certificate = found(showing(authority, ends=20), roots)
    assert certificate.verdict == "warn"
    assert "in 20 days" in certificate.what
    assert "operator" in certificate.advice


@pytest.mark.parametrize(
    ("host", "begins", "ends", "words", "todo"),
    [
        ("127.0.0.1", -9, -1, "its certificate has expired; is this machine's clock right? it says 20", "renew it"),
        ("127.0.0.1", 2, 9, "its certificate is not valid yet; is this machine's clock right?", "timedatectl"),
        (
            "csms.example",
            -9,
            9,
            "for another name than the one in the URL",
            "It is for csms.example: write a name that",
        ),
    ],
)
def test_bad_ones(
    authority: trustme.CA, roots: str, host: str, begins: float, ends: float, words: str, todo: str
) -> None:
    """Why it fails, what the certificate is in truth, and what to do."""
    [failed] = found(showing(authority, host, begins, ends), roots)
    assert failed.verdict == "FAIL"
    assert words in failed.what
    days = f"is valid from {NOW + begins * DAYS:%Y-%m-%d} to {NOW + ends * DAYS:%Y-%m-%d}"
    assert f'Its certificate, for {host}, by "Example CA", {days}' in failed.what
    assert todo in failed.advice


def test_one_of_somebody_unknown(authority: trustme.CA, tmp_path: Path) -> None:
    """Neither the system's roots nor others will do: who issued it is told, and which file is to name them."""
    [failed] = found(showing(authority))
    assert "comes from no root that we trust" in failed.what
    assert failed.advice == (
        'Name the root certificate above "Example CA" in csms.ca_file (PEM, from the CSMS\'s operator): '
        "without csms.ca_file only the system's roots are trusted."
    )
    other = Authority(tmp_path, "other").file
    [failed] = found(showing(authority), other)
    assert failed.advice.endswith(f"{other} holds others.")


def test_what_speaks_no_tls() -> None:
    """A port of plain HTTP, and one that hangs up."""
    [failed] = found(plain)
    assert "it does not speak TLS on that port" in failed.what
    [failed] = found(lambda _: None)
    assert failed.verdict == "FAIL"
    assert failed.advice


def test_what_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for."""
    monkeypatch.setattr("localctl.checking.seal._SECONDS", 0.05)

    def silent(connection: socket.socket) -> None:
        while connection.recv(10_000):
            pass

    [failed] = found(silent)
    assert failed.what.endswith("TLS fails: nothing came within 0.05 s")


def test_files_of_ours_that_do_not_load_are_told_elsewhere() -> None:
    """Nothing is tried with them."""
    assert found(plain, "/nonexistent") == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (EXPIRED, "If the clock here is right: ask the CSMS's operator to renew it"),
        (NOT_YET_VALID, "Set this machine's clock"),
        (WRONG_NAMES[1], "It is for csms.example: write a name that it has into csms.url instead of 192.0.2.1"),
        (UNKNOWN_ISSUERS[0], 'Name the root certificate above "Example CA"'),
        (23, "Show this line"),
    ],
)
def test_advice(code: int, words: str) -> None:
    """By what OpenSSL found wrong; also where nothing could be read of the certificate."""
    assert advice(code, "192.0.2.1", WHOSE, "").startswith(words)
    assert advice(code, "192.0.2.1", None, "/ca.pem")


def test_how_long_it_lasts() -> None:
    """By the day, and without a name where none can be read."""
    now = NOW.timestamp()
    assert lasting("x", None, now + 31 * 86400, now).verdict == "ok"
    assert lasting("x", None, now + 29.6 * 86400, now).what.endswith("in 30 days")
