"""How fast bytes are let through, by virtual clocks."""

from hypothesis import given, settings
from hypothesis import strategies as st

from localctl.mirror.bucket import BURST_SECONDS, Bucket

PIECES = st.lists(st.integers(1, 300_000), min_size=1, max_size=60)


def let_through(rate: int, *readers: list[int]) -> list[tuple[float, int]]:
    """When each piece was read and how large it was, where each reader waits as it is told and then reads on."""
    bucket, seen = Bucket(rate, paid_at=0.0), list[tuple[float, int]]()
    waiting = [(1000.0, number, list(pieces)) for number, pieces in enumerate(readers)]
    while waiting:
        now, number, pieces = min(waiting)
        waiting.remove((now, number, pieces))
        count, *rest = pieces
        seen.append((now, count))
        wait = bucket.take(count, now)
        assert wait >= 0
        if rest:
            waiting.append((now + wait, number, rest))
    return seen


def test_no_limit_makes_nobody_wait() -> None:
    """0 is none."""
    assert Bucket(0).take(2**40, 0.0) == 0


def test_a_rate_is_kept_to() -> None:
    """At 1000 bytes a second, after the first second's worth, 1000 bytes cost a second."""
    bucket = Bucket(1000)
    assert bucket.take(1000, 50.0) == 0
    assert bucket.take(1000, 50.0) == 1.0
    assert bucket.take(500, 51.0) == 0.5
    assert bucket.take(500, 51.5) == 0.5


def test_a_pause_saves_up_one_second() -> None:
    """However long nothing was read, no more than a second's worth comes at once."""
    bucket = Bucket(1000)
    bucket.take(1000, 0.0)
    assert bucket.take(1000, 3600.0) == 0
    assert bucket.take(1000, 3600.0) == 1.0


@settings(deadline=None)
@given(st.integers(100, 10**6), st.lists(PIECES, min_size=1, max_size=4))
def test_downloads_together_keep_to_it(rate: int, readers: list[list[int]]) -> None:
    """``max_rate``: in any time, all downloads together read no more than its rate, a burst and a piece of each."""
    seen = let_through(rate, *readers)
    largest = sum(max(pieces) for pieces in readers)
    for first, (begin, _) in enumerate(seen):
        total = 0
        for end, count in seen[first:]:
            total += count
            assert total <= rate * (end - begin + BURST_SECONDS) + largest + 1


@settings(deadline=None)
@given(st.integers(100, 10**6), PIECES)
def test_it_does_not_throttle_more_than_it_should(rate: int, pieces: list[int]) -> None:
    """Who is always ready to read gets the whole rate."""
    seen = let_through(rate, pieces)
    took = seen[-1][0] - seen[0][0]
    assert took * rate <= sum(pieces[:-1]) + 1
