"""The certificates that the daemon shows: renewed on disk while it runs, and their ends told in the metrics."""

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
import trustme

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.site import LC

METRIC: Final = "localctl_tls_certificate_expiry_timestamp_seconds"
ROLES: Final = ("csms", "publish.https", "publish.ftp")
BEFORE, AFTER = datetime(2041, 1, 1, tzinfo=UTC), datetime(2042, 1, 1, tzinfo=UTC)


@pytest.fixture
def authority() -> trustme.CA:
    """Who issues every certificate here."""
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


def issue(authority: trustme.CA, folder: Path, ends: datetime) -> dict[str, str]:
    """Put a certificate and its key into ``folder``, over those that are there; the keys that name them."""
    own = authority.issue_cert("127.0.0.1", not_after=ends, key_type=trustme.KeyType.ECDSA)
    own.cert_chain_pems[0].write_to_path(str(folder / "own.pem"))
    own.private_key_pem.write_to_path(str(folder / "own.key"))
    return {"cert_file": str(folder / "own.pem"), "key_file": str(folder / "own.key")}


async def told(daemon: Daemon) -> list[datetime]:
    """When the certificate of each role ends."""
    return [datetime.fromtimestamp(await daemon.metric(METRIC, role=role), UTC) for role in ROLES]


async def test_renewed_certificates_are_used_and_told(authority: trustme.CA, tmp_path: Path) -> None:
    """New connections show the new one, to stations and to the CSMS; the metric tells the end of what is in use."""
    demanding = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    demanding.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(demanding)
    authority.issue_cert("127.0.0.1").configure_cert(demanding)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    own = issue(authority, tmp_path, BEFORE)
    https = {"listen": "127.0.0.1:0", **own}
    sections = {"csms": {**own, "ca_file": str(tmp_path / "ca.pem")}, "publish": {"https": https, "ftp": own}}
    async with Csms(tls=demanding) as csms, Daemon(tmp_path, csms.url, sections) as daemon:
        await daemon.ready()
        assert await told(daemon) == [BEFORE] * 3
        assert ends(csms) == BEFORE
        issue(authority, tmp_path, AFTER)
        for role in ROLES:
            await daemon.logged(f"the new certificate of {role}")
        assert await told(daemon) == [AFTER] * 3
        await csms.stop()
        await csms.start()
        await csms.connected(LC)
        assert ends(csms) == AFTER


async def test_without_certificates_there_is_no_time(tmp_path: Path) -> None:
    """Each role is there, and 0, where it shows no certificate."""
    async with Csms() as csms, Daemon(tmp_path, csms.url) as daemon:
        await daemon.ready()
        assert [await daemon.metric(METRIC, role=role) for role in ROLES] == [0, 0, 0]


def ends(csms: Csms) -> datetime:
    """When the certificate ends that the controller has shown to the CSMS."""
    shown = csms.link(LC).connection.transport.get_extra_info("ssl_object").getpeercert()
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), UTC)
