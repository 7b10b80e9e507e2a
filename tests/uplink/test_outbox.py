"""Notifications on their way: order, repetition, and what a trigger reports."""

from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st

from localctl.ocpp.messages import PublishStatus
from localctl.store.backlog import MOST
from localctl.store.records import LastSent, Notification
from localctl.uplink.outbox import PAUSES, Outbox


def note(number: int, status: PublishStatus = "Downloading", request_id: int = 7) -> Notification:
    """A notification that was made at second ``number``."""
    return Notification(number, request_id, status, (), float(number))


def filled(*notes: Notification) -> Outbox:
    """An outbox in which these wait."""
    outbox = Outbox()
    outbox.add(notes)
    return outbox


def test_nothing_waits() -> None:
    """An empty outbox is never due."""
    outbox = Outbox()
    assert (outbox.due_at(), len(outbox), outbox.oldest()) == (inf, 0, 0.0)


def test_one_at_a_time_and_in_order() -> None:
    """L03.FR.01: the next goes out only when the one before is answered."""
    first, second = note(1), note(2)
    outbox = filled(first, second)
    assert outbox.due_at() == -inf
    assert [outbox.sent(), outbox.sent(), outbox.answered(), outbox.sent()] == [first, first, first, second]
    assert outbox.oldest() == 2.0
    assert len(outbox) == 1


def test_one_that_is_not_answered_is_sent_again() -> None:
    """Design, State that lasts: after 30, 60 and 120 s, then only on the next connection."""
    assert list(PAUSES) == [30, 60, 120]
    outbox = filled(note(1), note(2))
    now = 1000.0
    for pause in PAUSES:
        outbox.sent()
        outbox.timed_out(now)
        assert outbox.due_at() == now + pause
        now += pause
    outbox.sent()
    outbox.timed_out(now)
    assert outbox.due_at() == inf
    outbox.timed_out(now)
    assert outbox.due_at() == inf
    outbox.connected()
    assert outbox.due_at() == -inf
    assert outbox.sent() == note(1)


def test_a_new_one_does_not_overtake() -> None:
    """Faults, row 22: while one waits to be sent again, a later status waits behind it."""
    outbox = filled(note(1))
    outbox.sent()
    outbox.timed_out(1000.0)
    outbox.add([note(2)])
    assert outbox.due_at() == 1030.0
    assert outbox.sent() == note(1)


def test_an_answer_begins_the_pauses_anew() -> None:
    """The next notification has all its repetitions."""
    outbox = filled(note(1), note(2))
    for _ in PAUSES:
        outbox.timed_out(0.0)
    outbox.answered()
    assert outbox.due_at() == -inf
    outbox.timed_out(1000.0)
    assert outbox.due_at() == 1030.0


def test_a_trigger_when_none_was_ever_sent() -> None:
    """L03.FR.10: Idle; what only waits has not been sent."""
    assert Outbox().status() is None
    assert filled(note(1)).status() is None


def test_a_trigger_when_the_last_was_published() -> None:
    """L03.FR.10: Idle, over all publications."""
    outbox = filled(note(1, "Downloading", 1), note(2, "Published", 2))
    outbox.sent()
    outbox.answered()
    outbox.sent()
    assert outbox.status() is None
    assert Outbox(LastSent(7, "Published")).status() is None


def test_a_trigger_when_the_last_was_anything_else() -> None:
    """L03.FR.11: that status again with its requestId, also after a restart; sent is sent, answered or not."""
    outbox = filled(note(1, "Published", 1), note(2, "DownloadFailed", 2))
    outbox.sent()
    outbox.answered()
    outbox.sent()
    assert outbox.status() == LastSent(2, "DownloadFailed")
    assert Outbox(LastSent(7, "InvalidChecksum")).status() == LastSent(7, "InvalidChecksum")


@settings(deadline=None)
@given(st.lists(st.sampled_from(["add", "send", "answer", "time out", "connect"]), max_size=60))
def test_statuses_never_overtake_and_none_is_lost(events: list[str]) -> None:
    """Faults, rows 20 to 22: whatever happens, answered in the order in which they were made, each of them once."""
    outbox, made, answered, out, now = Outbox(), 0, list[int](), False, 0.0
    for event in events:
        now += 1
        if event == "add":
            made += 1
            outbox.add([note(made)])
        elif event == "connect":
            outbox.connected()
            out = False
        elif event == "send" and outbox.due_at() <= now:
            assert outbox.sent().id == len(answered) + 1
            out = True
        elif event == "answer" and out:
            answered.append(outbox.answered().id)
            out = False
        elif event == "time out" and out:
            outbox.timed_out(now)
            out = False
    assert answered == list(range(1, len(answered) + 1))
    assert len(outbox) == made - len(answered)


def test_a_csms_that_is_away_for_long_fills_no_memory() -> None:
    """Beyond the bound, states that were passed through are left out; final ones and what is on its way never."""
    outbox = filled(note(1))
    assert outbox.sent() == note(1)
    outbox.add([note(2, "Published", request_id=8)])
    for number in range(3, 2 * MOST):
        outbox.add([note(number)])
    assert len(outbox) == MOST
    assert [outbox.answered(), outbox.answered()] == [note(1), note(2, "Published", request_id=8)]
