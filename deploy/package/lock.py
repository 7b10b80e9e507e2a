"""deploy/requirements.lock: what is locked, and what of it a Python and a machine need. Pure."""

import re
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Locked:
    """One distribution: its name in canonical form, its version, and the SHA-256 of each of its files."""

    requirement: Requirement
    hashes: frozenset[str]

    @property
    def name(self) -> str:
        """In lower case, with dashes."""
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        """What stands behind ``==``."""
        return next(iter(self.requirement.specifier)).version

    @property
    def line(self) -> str:
        """As pip reads it, without the marker."""
        return " ".join([f"{self.name}=={self.version}", *(f"--hash=sha256:{each}" for each in sorted(self.hashes))])


def parse(text: str) -> list[Locked]:
    """All of them. Raises ValueError (InvalidRequirement) on what is no requirement."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    return [
        Locked(Requirement(line.partition("--hash")[0].strip()), frozenset(_HASH.findall(line)))
        for line in joined.splitlines()
        if line.strip()
    ]


def needed(locked: list[Locked], python: str, machine: str) -> list[Locked]:
    """Those whose marker holds on CPython ``python`` ("3.12") under Linux on ``machine``.

    pip evaluates markers for the Python that it runs on, not for the one that it downloads for.
    """
    environment = {
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_version": f"{python}.0",
        "platform_machine": machine,
        "platform_system": "Linux",
        "sys_platform": "linux",
        "os_name": "posix",
        "extra": "",
    }
    return [each for each in locked if each.requirement.marker is None or each.requirement.marker.evaluate(environment)]
