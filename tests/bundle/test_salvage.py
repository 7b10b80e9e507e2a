"""What of a broken configuration still tells where the daemon is."""

import pytest

from localctl.bundle.salvage import salvaged


def test_what_tells_is_taken_and_the_rest_left() -> None:
    """Each key for itself: one that is wrong does not cost the others."""
    config = salvaged(
        '[controller]\nidentity = "a:b"\nstate_dir = "/s"\n[csms]\nurl = 7\n[admin]\nlisten = "127.0.0.1:9"\nx = 1\n'
    )
    assert (config.controller.identity, config.controller.state_dir) == ("unknown", "/s")
    assert str(config.admin.listen) == "127.0.0.1:9"


@pytest.mark.parametrize("text", ["", "[", "admin = 7\ncontroller = []\n", "a = [" + "[" * 5000])
def test_nothing_tells_nothing(text: str) -> None:
    """The defaults are where a daemon would be."""
    config = salvaged(text)
    assert (config.controller.state_dir, str(config.admin.listen)) == ("/var/lib/localctl", "127.0.0.1:9188")
