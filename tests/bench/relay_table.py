"""Samples of several proxies, taken in turn, and a table of what they come to."""

import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic

from tests.bench.measure import Sample, ratio


class Samples(Generic[Sample]):
    """Samples by the proxy's name, a round each."""

    def __init__(self, names: Sequence[str]) -> None:
        self._samples: dict[str, list[Sample]] = {name: [] for name in names}

    @property
    def names(self) -> tuple[str, ...]:
        """The proxies."""
        return tuple(self._samples)

    def leave_out(self, name: str) -> None:
        """It cannot do what is asked."""
        del self._samples[name]

    def add(self, name: str, sample: Sample) -> None:
        """One more."""
        self._samples[name].append(sample)

    def median(self, name: str, of: Callable[[Sample], float]) -> float:
        """Of one proxy."""
        return statistics.median(map(of, self._samples[name]))

    def most(self, name: str, of: Callable[[Sample], float]) -> float:
        """Of one proxy."""
        return max(map(of, self._samples[name]))

    def ratio(self, name: str, peer: str, of: Callable[[Sample], float]) -> str:
        """The median of one over the peer, round by round; a dash where there is no such peer."""
        if peer not in self._samples:
            return "-"
        return f"{ratio(self._samples[name], self._samples[peer], of):.2f}"


Column = Callable[[Samples[Sample], str], str]  # what stands in it, by the proxy's name


async def in_turn(
    names: Sequence[str], rounds: int, sample: Callable[[str], Awaitable[Sample | None]]
) -> Samples[Sample]:
    """A sample of each a round, and each round begins with another; whoever gives None is left out."""
    samples = Samples[Sample](names)
    for number in range(rounds):
        left = samples.names
        for at in range(len(left)):
            name = left[(at + number) % len(left)]
            told = await sample(name)
            if told is None:
                samples.leave_out(name)
            else:
                samples.add(name, told)
    return samples


def table(title: str, samples: Samples[Sample], columns: Mapping[str, Column[Sample]]) -> None:
    """Print it."""
    print(f"\n{title}")
    print(" " * 18 + "  ".join(columns))
    for name in samples.names:
        print(f"{name:18}" + "  ".join(f"{tell(samples, name):>{len(head)}}" for head, tell in columns.items()))
    print(end="", flush=True)
