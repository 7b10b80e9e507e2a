import pytest

from localctl.serve.sealed import LEAST_ADDED, RECORD, opened


@pytest.mark.parametrize(
    ("arrived", "most"),
    [
        (-5, 0),
        (0, 0),
        (LEAST_ADDED, 0),
        (LEAST_ADDED + 1, 1),
        (RECORD + LEAST_ADDED, RECORD),
        (RECORD + LEAST_ADDED + 3, RECORD),
        (3 * (RECORD + LEAST_ADDED) + LEAST_ADDED + 7, 3 * RECORD + 7),
    ],
)
def test_what_arrived_holds_so_much_of_the_file(arrived: int, most: int) -> None:
    """Full records and a last one, each less what TLS adds; never less than nothing."""
    assert opened(arrived) == most
