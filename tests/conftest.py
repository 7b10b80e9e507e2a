"""What tests of several rooms share."""

import os
from collections.abc import Callable

import pytest

ALL = os.environ.get("LOCALCTL_TESTS_ALL") == "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test marked ``all`` runs only under ``tests/run.sh --all``."""
    for item in items:
        if not ALL and item.get_closest_marker("all"):
            item.add_marker(pytest.mark.skip(reason="the long form: sh tests/run.sh --all"))


@pytest.fixture
def rounds() -> Callable[[int, int], int]:
    """How many rounds a sampled loop makes: ``rounds(sample, whole)``, the whole under ``tests/run.sh --all``."""
    return lambda sample, whole: whole if ALL else sample
