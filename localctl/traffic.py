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


class Flow:
    """One direction: messages by type, and bytes of their payloads as they were on the wire."""

    __slots__ = ("messages", "size")

    def __init__(self) -> None:
        self.messages = dict.fromkeys(MESSAGE_TYPES, 0)
        self.size = 0


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
        messages = CounterMetricFamily(
            "localctl_relay_messages", "Messages passed on; other: compressed ones too.", labels=["direction", "type"]
        )
        size = CounterMetricFamily("localctl_relay_bytes", "Bytes of messages passed on.", labels=["direction"])
        rejected = CounterMetricFamily("localctl_relay_rejected_messages", "Messages not passed on.", labels=["reason"])
        for direction, flow in flows.items():
            size.add_metric([direction], flow.size)
            for kind, number in flow.messages.items():
                messages.add_metric([direction, kind], number)
        for reason, number in self.rejected.items():
            rejected.add_metric([reason], number)
        return messages, size, rejected
