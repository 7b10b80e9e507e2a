"""The noise is read, and only grows."""

import os

from tests.actors.noise import starved


def test_it_only_grows() -> None:
    """What was waited for stays waited for."""
    before = starved(os.getpid())
    assert 0 <= before <= starved(os.getpid())
