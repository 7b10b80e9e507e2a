"""What passed through the relays, in plain numbers: prometheus-client's own counters take a lock for each of them.

On the main loop only, where relays run and metrics are asked for.
"""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

DIRECTIONS: Final = ("to_csms", "to_station")
MESSAGE_TYPES: Final = ("call", "callresult", "callerror", "callresulterror", "send", "other")
REJECTIONS: Final = ("oversize", "invalid")


# What passed one way through one relay: messages by type, in the order above; bytes of their payloads, as they were on
# the wire; when the last of them came, Unix seconds. A plain list, as nothing is counted into sooner.
Tally = list[float]
OTHER: Final = MESSAGE_TYPES.index("other")
BYTES: Final = len(MESSAGE_TYPES)
AT: Final = BYTES + 1


def blank() -> Tally:
    """Nothing yet."""
    return [0] * (AT + 1)


def messages(tally: Tally) -> int:
    """How many, of all types."""
    return int(sum(tally[:BYTES]))


class Flow:
    """One direction of all relays, those that have ended too."""

    def __init__(self) -> None:
        self._ended = blank()
        self._live: dict[int, Tally] = {}

    def begin(self) -> Tally:
        """For a relay that begins."""
        tally = blank()
        self._live[id(tally)] = tally
        return tally

    def end(self, tally: Tally) -> None:
        """Its relay has ended. Twice is once."""
        if self._live.pop(id(tally), None) is not None:
            self._ended = _added((self._ended, tally))

    def total(self) -> Tally:
        """All of them."""
        return _added((self._ended, *self._live.values()))


def _added(tallies: Iterable[Tally]) -> Tally:
    return [sum(column) for column in zip(*tallies, strict=True)]


class Traffic(Collector):
    """Both directions, and what was not passed on; on ``registry`` as relay_messages_total and its kin."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.to_csms = Flow()
        self.to_station = Flow()
        self.rejected = dict.fromkeys(REJECTIONS, 0)
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """The series as they are now."""
        flows = dict(zip(DIRECTIONS, (self.to_csms, self.to_station), strict=True))
        passed = CounterMetricFamily(
            "localctl_relay_messages", "Messages passed on; other: compressed ones too.", labels=["direction", "type"]
        )
        size = CounterMetricFamily("localctl_relay_bytes", "Bytes of messages passed on.", labels=["direction"])
        rejected = CounterMetricFamily("localctl_relay_rejected_messages", "Messages not passed on.", labels=["reason"])
        for direction, flow in flows.items():
            total = flow.total()
            size.add_metric([direction], total[BYTES])
            for kind, number in zip(MESSAGE_TYPES, total, strict=False):
                passed.add_metric([direction, kind], number)
        for reason, number in self.rejected.items():
            rejected.add_metric([reason], number)
        return passed, size, rejected
