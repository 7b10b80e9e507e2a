"""The sites of journeys: on each version that a controller speaks, and with every protocol that stations fetch by."""

import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.actors.site import OpenSite, Site


@pytest.fixture(params=["2.0.1", "2.1"])
async def site(request: pytest.FixtureRequest, open_site: OpenSite) -> Site:
    """A site whose CSMS speaks OCPP 2.0.1 with the controller, and one where it speaks 2.1."""
    return await open_site(request.param)


@pytest.fixture
def trust(tmp_path: Path) -> ssl.SSLContext:
    """What a station trusts; the controller's certificate is from there (``own.pem``), the authority is ``ca.pem``."""
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    own = authority.issue_cert("127.0.0.1", key_type=trustme.KeyType.ECDSA)
    own.cert_chain_pems[0].write_to_path(str(tmp_path / "own.pem"))
    own.private_key_pem.write_to_path(str(tmp_path / "own.key"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def open_serving(open_site: OpenSite, trust: ssl.SSLContext, tmp_path: Path) -> OpenSite:
    """Open a site that serves over every protocol, to stations that ``trust`` it: ``open_serving(max_transfers=1)``."""
    del trust  # what it wrote is used
    own = {"cert_file": str(tmp_path / "own.pem"), "key_file": str(tmp_path / "own.key")}

    async def opened(version: str = "2.1", **publish: Any) -> Site:
        https = {"listen": "127.0.0.1:0", **own}
        return await open_site(version, {"publish": {"https": https, "ftp": own, **publish}})

    return opened
