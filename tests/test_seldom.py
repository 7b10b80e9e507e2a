from localctl.seldom import SECONDS, Seldom


def test_the_first_time_and_then_once_a_minute() -> None:
    """What goes on for an hour, once a second, is said sixty times; after a silence it is said at once."""
    now = 0.0
    seldom = Seldom(lambda: now)
    said = 0
    for second in range(3600):
        now = float(second)
        said += seldom.is_due()
    assert said == 60
    now += SECONDS
    assert seldom.is_due()
    assert not seldom.is_due()
