"""What the demo is going to do: who plays, with what, at what pace. Rules: no I/O.

The stations take turns in speaking OCPP 1.6 and 2.0.1 and in fetching over HTTP and FTP, so that four of them show
every combination and two of them every version and protocol.
"""

from dataclasses import dataclass
from typing import Final, Literal

Version = Literal["1.6", "2.0.1", "2.1"]
Scheme = Literal["http", "ftp"]

CONTROLLER: Final = "LC-DEMO"
CSMS: Final = "CSMS"
MIB: Final = 2**20
FIRMWARE_NAME: Final = "station-2.0.bin"
REQUEST_ID: Final = 1
PUBLISHING: Final = ("Downloading", "Downloaded", "ChecksumVerified", "Published")  # TC_L_17
UPDATING: Final = ("Downloading", "Downloaded")
_WAN_SECONDS: Final = 2.5  # slow enough to be watched
_LAN_SECONDS: Final = 2.0
_TURNS: Final[tuple[tuple[Version, Scheme], ...]] = (
    ("1.6", "http"),
    ("2.0.1", "ftp"),
    ("1.6", "ftp"),
    ("2.0.1", "http"),
)


@dataclass(frozen=True, slots=True)
class Role:
    """One station. One that ``pauses`` reads half of its file, and the rest once the CSMS has been refused."""

    identity: str
    version: Version
    scheme: Scheme
    pauses: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """How many stations, and the size of the firmware in bytes."""

    stations: int
    size: int

    @property
    def roles(self) -> tuple[Role, ...]:
        """The stations. The first of each protocol pauses."""
        cast = [(f"CS-{number + 1:02}", *_TURNS[number % len(_TURNS)]) for number in range(self.stations)]
        first = {scheme: identity for identity, _, scheme in reversed(cast)}
        return tuple(Role(identity, version, scheme, first[scheme] == identity) for identity, version, scheme in cast)

    @property
    def wan_rate(self) -> float:
        """Bytes a second that the origin sends."""
        return self.size / _WAN_SECONDS

    @property
    def lan_rate(self) -> float:
        """Bytes a second that a station reads."""
        return self.size / _LAN_SECONDS

    @property
    def lan_bytes(self) -> int:
        """What all stations together fetch."""
        return self.size * self.stations

    @property
    def patience(self) -> float:
        """Seconds that a step may take on a slow machine with a slow disk."""
        return 30 + (self.size + self.lan_bytes) / (4 * MIB)


def counted(stations: int) -> str:
    """So many stations, for a reader."""
    return f"{stations} station{'' if stations == 1 else 's'}"


def mebibytes(count: int) -> str:
    """Bytes, for a reader."""
    return f"{count / MIB:.1f} MiB"
