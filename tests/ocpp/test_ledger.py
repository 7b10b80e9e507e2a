"""The CALL that awaits its answer."""

import pytest

from localctl.errors import IllegalStep
from localctl.ocpp.ledger import Ledger


def test_an_answer_finds_who_waits_for_it_once() -> None:
    """The answer with the id of our CALL is its waiter's; a second one is nobody's."""
    ledger: Ledger[str] = Ledger()
    ledger.open("1", "waiter")
    assert ledger.settle("1") == "waiter"
    assert ledger.settle("1") is None


def test_an_answer_to_nothing_is_nobodys() -> None:
    """An unknown id leaves the CALL waiting."""
    ledger: Ledger[str] = Ledger()
    assert ledger.settle("1") is None
    ledger.open("1", "waiter")
    assert ledger.settle("-1") is None
    assert ledger.settle("1") == "waiter"


def test_one_call_is_outstanding_at_a_time() -> None:
    """4.1.1: a second CALL is refused until the first is answered."""
    ledger: Ledger[str] = Ledger()
    ledger.open("1", "first")
    with pytest.raises(IllegalStep, match="a CALL is outstanding"):
        ledger.open("2", "second")
    assert ledger.settle("2") is None
    assert ledger.settle("1") == "first"
    ledger.open("2", "second")
    assert ledger.settle("2") == "second"


def test_what_comes_after_the_timeout_is_ignored() -> None:
    """4.1.1: a CALL that timed out is settled; its late answer is nobody's and the next CALL may go."""
    ledger: Ledger[str] = Ledger()
    ledger.open("1", "first")
    assert ledger.end() == "first"
    assert ledger.end() is None
    assert ledger.settle("1") is None
    ledger.open("2", "second")
    assert ledger.settle("2") == "second"
