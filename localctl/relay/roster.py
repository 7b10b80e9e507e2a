"""Which stations are relayed, and how many may be. Rules: no I/O, no clock.

One relay an identity: a newcomer takes the place of the one before it when the CSMS has accepted it, and not sooner;
the one before it leaves without touching the newcomer (``join``, ``leave``). A station holds its place from before
the CSMS is dialled, so that no more are dialled for than may be relayed.
"""

from dataclasses import dataclass, field

from localctl.traffic import AT, Tally, blank, messages


@dataclass(frozen=True, slots=True)
class RelayedStation:
    """A station that is relayed now. Times are Unix seconds; ``ocpp_version`` is empty where none was agreed on.

    ``peer`` is the station's IP address, ``last_message_at`` when the station last sent a message.
    """

    identity: str
    ocpp_version: str
    peer: str
    since: float
    last_message_at: float | None
    messages_to_csms: int
    messages_to_station: int


@dataclass(slots=True, eq=False)
class Relay:
    """One station's relay, from its handshake to its end; what passes is counted by the pair that passes it on."""

    identity: str
    peer: str
    ocpp_version: str = ""
    since: float = 0.0
    to_csms: Tally = field(default_factory=blank)
    to_station: Tally = field(default_factory=blank)

    def seen(self) -> RelayedStation:
        """The relay as it is now."""
        return RelayedStation(
            self.identity,
            self.ocpp_version,
            self.peer,
            self.since,
            self.to_csms[AT] or None,
            messages(self.to_csms),
            messages(self.to_station),
        )


@dataclass(slots=True)
class Roster:
    """The relays by identity, and those whose station still waits for the CSMS's answer."""

    max_stations: int
    _relays: dict[str, Relay] = field(default_factory=dict)
    _expected: set[Relay] = field(default_factory=set)

    def expect(self, relay: Relay) -> bool:
        """Hold a place while the CSMS is asked; False where all are taken. A known identity needs no further one."""
        taken = self._relays.keys() | {expected.identity for expected in self._expected}
        if relay.identity not in taken and len(taken) >= self.max_stations:
            return False
        self._expected.add(relay)
        return True

    def join(self, relay: Relay, ocpp_version: str, now: float) -> Relay | None:
        """The CSMS has accepted the station at ``now`` (Unix seconds): it is relayed. The relay that it replaces."""
        self._expected.discard(relay)
        relay.ocpp_version = ocpp_version
        relay.since = now
        replaced = self._relays.get(relay.identity)
        self._relays[relay.identity] = relay
        return replaced

    def leave(self, relay: Relay) -> None:
        """The station has gone, relayed or not. Leaving twice, or after having been replaced, does nothing."""
        self._expected.discard(relay)
        if self._relays.get(relay.identity) is relay:
            del self._relays[relay.identity]

    def stations(self) -> tuple[RelayedStation, ...]:
        """The stations that are relayed now, in the order in which their identities first joined."""
        return tuple(relay.seen() for relay in self._relays.values())

    def __contains__(self, identity: str) -> bool:
        """Whether a station of that identity is relayed now."""
        return identity in self._relays

    def relays(self) -> tuple[Relay, ...]:
        """The same, to be looked at one by one."""
        return tuple(self._relays.values())

    def __len__(self) -> int:
        return len(self._relays)
