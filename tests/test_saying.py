"""How amounts, spans and names are said."""

import pytest

from localctl.saying import age, counted, printable, size


def test_sizes() -> None:
    """In the unit that suits."""
    assert [size(count) for count in (0, 1023, 1536, 5 * 2**20, 3 * 2**40, 2**60)] == [
        "0 B", "1023 B", "1.5 KiB", "5.0 MiB", "3.0 TiB", "1048576.0 TiB",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("since", "now", "said"),
    [(None, 1, "?"), (0, 59.9, "00:00:59"), (0, 86399, "23:59:59"), (0, 90000, "1 d 1 h"), (10, 0, "00:00:00")],
)
def test_ages(since: float | None, now: float, said: str) -> None:
    """By the second within a day, by the hour beyond; a clock that went back is no age."""
    assert age(since, now) == said


def test_names_of_peers() -> None:
    """What a terminal would obey is no name; other letters are."""
    assert printable("CS-Ä\x1b[2J\n\u202e") == "CS-Ä\N{REPLACEMENT CHARACTER}[2J" + "\N{REPLACEMENT CHARACTER}" * 2
    assert printable(7) == "7"


def test_counting() -> None:
    """One is not many."""
    assert [counted(number, "try", "tries") for number in (0, 1, 2)] == ["0 tries", "1 try", "2 tries"]
