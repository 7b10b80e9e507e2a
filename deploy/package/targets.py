"""Which machines and Pythons the package is for, and what it needs of Debian there. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

PYTHONS: Final = ("3.11", "3.12", "3.13")  # Debian 12, Ubuntu 24.04, Debian 13
_GLIBC: Final = (
    17,
    24,
    26,
    27,
    28,
    31,
    34,
    35,
    36,
)  # wheels are named for the oldest that they run on; Debian 12 has 36
_DEPENDS: Final = (
    "libc6 (>= 2.36)",
    "libgcc-s1",
    "libstdc++6",
    "python3 (>= 3.11)",
    "python3 (<< 3.14)",
    "init-system-helpers (>= 1.65)",
    "systemd | systemd-standalone-sysusers | systemd-sysusers",
)


@dataclass(frozen=True, slots=True)
class Target:
    """An architecture by Debian's name, by that of wheels, and by that of its compiler's tools.

    ``from_debian``: what has no wheel there, and the Debian package that stands in for it.
    ``left_out``: what is of no use there. Both by the names of the lock file.
    """

    debian: str
    machine: str
    tools: str
    from_debian: Mapping[str, str] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()

    @property
    def platforms(self) -> list[str]:
        """The names of platforms that a wheel may have."""
        return [f"manylinux_2_{minor}_{self.machine}" for minor in _GLIBC] + [f"manylinux2014_{self.machine}"]

    @property
    def depends(self) -> list[str]:
        """The Debian packages that must be there."""
        return [*_DEPENDS, *sorted(self.from_debian.values())]

    @property
    def path(self) -> list[str]:
        """What /usr/bin/localctl adds to sys.path."""
        return ["/usr/lib/localctl", *(["/usr/lib/python3/dist-packages"] if self.from_debian else [])]

    def carries(self, name: str) -> bool:
        """Whether the package holds that distribution."""
        return name not in self.from_debian and name not in self.left_out


TARGETS: Final = {
    target.debian: target
    for target in (
        Target(
            "amd64", "x86_64", "x86_64-linux-gnu", left_out=frozenset({"pycparser"})
        ),  # cffi needs it to build, not to run
        Target("arm64", "aarch64", "aarch64-linux-gnu", left_out=frozenset({"pycparser"})),
        Target("armhf", "armv7l", "arm-linux-gnueabihf", {"cffi": "python3-cffi-backend"}, frozenset({"pycparser"})),
    )
}
