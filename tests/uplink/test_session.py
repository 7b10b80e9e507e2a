"""Registration, turns and back-off, with times as arguments."""

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localctl.ocpp.messages import Registration
from localctl.uplink.session import OWN_BOOT_SECONDS, OWN_HEARTBEAT_SECONDS, Backoff, Session, Turn

START = 1000.0


def connected(registration: Registration | None = None, interval: float = 300) -> Session:
    """A session whose connection was opened at START, and whose boot was then answered."""
    session = Session()
    session.connected(START)
    if registration is not None:
        session.boot_answered(registration, interval, START)
    return session


def turn(session: Session, now: float, *, triggered: bool = False, outbox: float = inf) -> tuple[Turn | None, float]:
    """What is sent at ``now``."""
    return session.next_turn(now, triggered=triggered, outbox_due_at=outbox)


def test_boot_comes_first() -> None:
    """B01.FR.08: after the start BootNotification, before anything that waits."""
    assert turn(connected(), START, triggered=True, outbox=0) == (Turn.BOOT, START)


@pytest.mark.parametrize(("registration", "interval", "wait"), [
    ("Pending", 10, 10), ("Rejected", 10, 10), ("Pending", 0, OWN_BOOT_SECONDS), ("Rejected", 0, OWN_BOOT_SECONDS),
    ("Pending", -1, OWN_BOOT_SECONDS), ("Rejected", 86400, 86400),
])  # fmt: skip
def test_boot_again_after_the_interval(registration: Registration, interval: float, wait: float) -> None:
    """B02.FR.04, FR.07, FR.08; B03.FR.05, FR.06: neither earlier nor later; interval 0: our own, at least 60 s."""
    session = connected(registration, interval)
    assert turn(session, START + wait - 0.001) == (None, START + wait)
    assert turn(session, START + wait) == (Turn.BOOT, START + wait)
    assert OWN_BOOT_SECONDS >= 60


@pytest.mark.parametrize("registration", ["Pending", "Rejected"])
def test_a_reconnection_does_not_shorten_the_interval(registration: Registration) -> None:
    """B02.FR.04, B03.FR.02: a link that flaps is no reason to ask the CSMS again."""
    session = connected(registration, 600)
    session.connected(START + 100)
    assert turn(session, START + 100) == (None, START + 600)
    session.connected(START + 700)
    assert turn(session, START + 700)[0] is Turn.BOOT


def test_no_boot_after_a_mere_reconnection() -> None:
    """Part 4, 5.3: once Accepted, never again."""
    session = connected("Accepted")
    session.connected(START + 10_000)
    assert turn(session, START + 10_000)[0] is None
    assert session.is_accepted


def test_a_boot_without_an_answer_is_sent_again() -> None:
    """B01: after our own interval; on a new connection at once, as no answer has ever set another."""
    session = connected()
    session.boot_unanswered(START + 30)
    assert turn(session, START + 89) == (None, START + 90)
    assert turn(session, START + 90)[0] is Turn.BOOT
    session.connected(START + 40)
    assert turn(session, START + 40)[0] is Turn.BOOT


def test_what_waits_waits_for_accepted() -> None:
    """B01.FR.08, B02.FR.02: while Pending or Rejected neither notifications nor heartbeats."""
    for session in (connected("Pending"), connected("Rejected")):
        assert turn(session, START + 299, outbox=0)[0] is None


def test_what_the_csms_triggers_is_sent_while_pending() -> None:
    """B02.FR.02: messages that the CSMS has asked for, also before its first answer to our boot."""
    assert turn(connected("Pending"), START, triggered=True)[0] is Turn.TRIGGERED
    unanswered = connected()
    unanswered.boot_unanswered(START)
    assert turn(unanswered, START, triggered=True)[0] is Turn.TRIGGERED


def test_nothing_is_sent_while_rejected() -> None:
    """B03.FR.02: not even what was triggered before, until the interval is over."""
    session = connected("Rejected")
    assert turn(session, START + 299, triggered=True, outbox=0) == (None, START + 300)
    assert session.is_rejected


def test_a_triggered_boot_is_sent_at_once() -> None:
    """F06, B02.FR.04: TriggerMessage overrides the interval."""
    session = connected("Pending")
    session.boot_triggered(START + 1)
    assert turn(session, START + 1)[0] is Turn.BOOT


def test_the_order_of_turns() -> None:
    """L03.FR.10: what is triggered goes behind what waits in the outbox; heartbeats when nothing else is due."""
    session = connected("Accepted", 60)
    late = START + 60
    assert turn(session, late, triggered=True, outbox=late)[0] is Turn.NOTIFICATION
    assert turn(session, late, triggered=True, outbox=late + 1)[0] is Turn.TRIGGERED
    assert turn(session, late, outbox=late + 1)[0] is Turn.HEARTBEAT
    assert turn(session, late, outbox=inf)[0] is Turn.HEARTBEAT


@pytest.mark.parametrize(("interval", "wait"), [(60, 60), (1, 1), (0, OWN_HEARTBEAT_SECONDS)])
def test_heartbeats(interval: float, wait: float) -> None:
    """G02: an interval after the last thing that was sent; where the CSMS names none, our own."""
    session = connected("Accepted", interval)
    assert turn(session, START) == (None, START + wait)
    session.sent(START + wait / 2)
    assert turn(session, START + wait) == (None, START + 1.5 * wait)
    assert turn(session, START + 1.5 * wait)[0] is Turn.HEARTBEAT


def test_a_new_connection_needs_no_heartbeat_at_once() -> None:
    """The interval begins with the connection."""
    session = connected("Accepted", 60)
    session.connected(START + 1000)
    assert turn(session, START + 1000) == (None, START + 1060)


def test_it_wakes_for_what_waits_in_the_outbox() -> None:
    """A notification to be sent again has its moment before the next heartbeat."""
    assert turn(connected("Accepted"), START, outbox=START + 30) == (None, START + 30)


@settings(deadline=None)
@given(st.data())
def test_no_sequence_of_answers_breaks_a_rule(data: st.DataObject) -> None:
    """B01 to B03: whatever the CSMS answers, nothing goes out that may not, and there is always a next moment."""
    session, now = Session(), START
    session.connected(now)
    for _ in range(20):
        now += data.draw(st.floats(0, 1000))
        triggered, outbox = data.draw(st.booleans()), data.draw(st.sampled_from([now, now + 5, inf]))
        what, at = turn(session, now, triggered=triggered, outbox=outbox)
        assert at >= now if what is None else at == now
        assert at < inf
        assert what in {None, Turn.BOOT, Turn.TRIGGERED} or session.is_accepted
        assert not (session.is_rejected and what is Turn.TRIGGERED)
        assert not (session.is_accepted and what is Turn.BOOT)
        match what:
            case Turn.BOOT if data.draw(st.booleans()):
                answer: Registration = data.draw(st.sampled_from(["Accepted", "Pending", "Rejected"]))
                session.boot_answered(answer, data.draw(st.integers(-1, 2**31 - 1)), now)
            case Turn.BOOT:
                session.boot_unanswered(now)
            case _ if data.draw(st.booleans()):
                session.connected(now)
            case _:
                session.sent(now)


@pytest.mark.parametrize(
    ("failures", "repeat", "seconds"),
    [(1, 3, 5), (2, 3, 10), (3, 3, 20), (4, 3, 40), (5, 3, 40), (1000, 3, 40), (1, 0, 5), (9, 0, 5), (0, 3, 5)],
)
def test_back_off(failures: int, repeat: int, seconds: float) -> None:
    """OCPP-J 5.3: RetryBackOffWaitMinimum, doubled at each failure, RetryBackOffRepeatTimes times at most.

    Errata 4.12: the first failure after a connection waits the minimum again.
    """
    assert Backoff(5, 10, repeat).delay(failures, 0) == seconds


@pytest.mark.parametrize(("random", "more"), [(0, 0), (0.5, 5), (1, 10)])
def test_back_off_is_spread(random: float, more: float) -> None:
    """OCPP-J 5.3: a random part up to RetryBackOffRandomRange on top, at each failure."""
    assert [Backoff(5, 10, 3).delay(failures, random) for failures in (1, 9)] == [5 + more, 40 + more]
