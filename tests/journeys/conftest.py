"""The site of a journey, on each version that a controller speaks."""

import pytest

from tests.actors.site import OpenSite, Site


@pytest.fixture(params=["2.0.1", "2.1"])
async def site(request: pytest.FixtureRequest, open_site: OpenSite) -> Site:
    """A site whose CSMS speaks OCPP 2.0.1 with the controller, and one where it speaks 2.1."""
    return await open_site(request.param)
