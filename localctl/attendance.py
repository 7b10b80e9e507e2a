"""Which stations are connected and which have been, a series each, for ``[admin] per_station_metrics``.

A station is known from its first connection until the daemon ends: 1 while it is relayed, 0 once it has gone, so that
an alert can name it. No more are known than may be relayed at once; beyond that the one that has been gone longest is
forgotten. On the main loop only, where stations come and metrics are asked for.
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Attendance(Collector):
    """station_connected on ``registry``, once it is told how many to ``keep``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._most = 0
        self._present: dict[str, bool] = {}  # the latest to come or go is last
        registry.register(self)

    def keep(self, most: int, present: Iterable[str] = ()) -> None:
        """Know so many stations from now on, and those who are ``present``; 0: none, and there is no such metric."""
        self._most = most
        self._present |= dict.fromkeys(present, True)
        self._forget()

    def note(self, identity: str, *, present: bool) -> None:
        """This station has come or gone."""
        if self._most:
            self._present.pop(identity, None)
            self._present[identity] = present
            self._forget()

    def _forget(self) -> None:
        surplus = len(self._present) - self._most
        gone = [identity for identity, present in self._present.items() if not present or not self._most]
        for identity in gone[: max(0, surplus)]:
            del self._present[identity]

    def collect(self) -> Iterable[Metric]:
        """The series as they are now."""
        if not self._most:
            return ()
        family = GaugeMetricFamily(
            "localctl_station_connected",
            "1 while this station is relayed, 0 once it has gone; from its first connection on.",
            labels=["station"],
        )
        for identity, present in sorted(self._present.items()):
            family.add_metric([identity], present)
        return (family,)
