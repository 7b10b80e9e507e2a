"""Who holds a place, and who takes whose."""

import pytest

from localctl.relay.roster import Relay, RelayedStation, Roster
from localctl.traffic import AT


def relayed(roster: Roster, identity: str) -> Relay:
    """A station that the CSMS has accepted."""
    relay = Relay(identity, "192.0.2.1")
    assert roster.expect(relay)
    roster.join(relay, "2.0.1", 10.0)
    return relay


def test_a_relayed_station_is_seen() -> None:
    """What the status page shows is what the relay has counted."""
    roster = Roster(2)
    relay = relayed(roster, "CS-1")
    relay.to_csms[AT], relay.to_csms[0], relay.to_csms[1] = 12.5, 2, 1
    assert roster.stations() == (RelayedStation("CS-1", "2.0.1", "192.0.2.1", 10.0, 12.5, 3, 0),)
    assert len(roster) == 1


def test_a_place_is_held_while_the_csms_is_asked() -> None:
    """More stations than may be relayed are not even dialled for."""
    roster = Roster(2)
    waiting = Relay("CS-1", "")
    assert roster.expect(waiting)
    relayed(roster, "CS-2")
    assert not roster.expect(Relay("CS-3", ""))
    assert len(roster) == 1
    roster.leave(waiting)
    assert roster.expect(Relay("CS-3", ""))


@pytest.mark.parametrize("joined", [True, False])
def test_a_known_identity_needs_no_further_place(joined: bool) -> None:  # noqa: FBT001  a parameter of the test
    """A station that comes back is let in though all places are taken, its own among them."""
    roster = Roster(1)
    first = Relay("CS-1", "")
    assert roster.expect(first)
    if joined:
        roster.join(first, "1.6", 0.0)
    assert roster.expect(Relay("CS-1", ""))


def test_a_newcomer_replaces_when_it_joins() -> None:
    """One relay an identity: the CSMS's acceptance decides, and the old one's leaving does not touch the newcomer."""
    roster = Roster(1)
    old = relayed(roster, "CS-1")
    newcomer = Relay("CS-1", "192.0.2.2")
    roster.expect(newcomer)
    assert roster.stations()[0].peer == "192.0.2.1"
    assert roster.join(newcomer, "1.6", 20.0) is old
    roster.leave(old)
    assert [station.peer for station in roster.stations()] == ["192.0.2.2"]


def test_a_newcomer_that_the_csms_refuses_changes_nothing() -> None:
    """The relay before it stays."""
    roster = Roster(1)
    old = relayed(roster, "CS-1")
    newcomer = Relay("CS-1", "")
    roster.expect(newcomer)
    roster.leave(newcomer)
    assert [station.since for station in roster.stations()] == [old.since]


def test_leaving_twice_is_leaving_once() -> None:
    """The second leave finds nothing of its own, not even a namesake's place."""
    roster = Roster(1)
    first = relayed(roster, "CS-1")
    roster.leave(first)
    relayed(roster, "CS-1")
    roster.leave(first)
    assert len(roster) == 1


def test_who_is_relayed_is_known_by_name() -> None:
    """Only from the CSMS's acceptance until it leaves."""
    roster = Roster(2)
    waiting = Relay("CS-1", "")
    assert roster.expect(waiting)
    assert "CS-1" not in roster
    roster.join(waiting, "2.0.1", 1.0)
    assert "CS-1" in roster
    roster.leave(waiting)
    assert "CS-1" not in roster
