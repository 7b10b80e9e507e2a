"""What is known before anybody is asked, and what follows from it for an answer that is not given. Rules: no I/O.

What a configuration says that was set up before is what it shall say again. What the packaged example says of the site
(its identity and URL) is nobody's answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Answer = str | bool
Answers = Mapping[str, Answer]  # by the name of the question

SITE: Final = ("controller.identity", "csms.url")
_PASSWORDS: Final = ("csms.basic_auth_password", "csms.basic_auth_password_file")


@dataclass(frozen=True, slots=True)
class Place:
    """The machine, and the configuration that is there: ``tree``, empty where there is none.

    ``addresses`` are the machine's own, that towards the default route first. ``low_ports``: systemd can hand
    over 80 and 21 here, which no other program has.
    """

    tree: Mapping[str, Any]
    hostname: str
    addresses: tuple[str, ...]
    low_ports: bool

    @property
    def is_set_up(self) -> bool:
        """Whether somebody has configured it before."""
        return bool(self.text("csms.url"))

    def text(self, key: str) -> str:
        """What stands under a dotted key; empty where nothing does, or no text."""
        value = at(self.tree, key)
        return value if isinstance(value, str) else ""

    def has(self, section: str) -> bool:
        """Whether that section is there."""
        return at(self.tree, section) is not None

    def port(self, section: str) -> str:
        """The port that the section listens on; empty where it does not say."""
        return self.text(f"{section}.listen").rpartition(":")[2]

    def has_password(self) -> bool:
        """Whether the controller has a password already."""
        return any(self.text(key) for key in _PASSWORDS)


@dataclass(frozen=True, slots=True)
class Service:
    """What systemd knows of localctl.

    ``booted``: systemd runs this machine. ``installed``, ``active``: the service is; ``socket``: its socket unit is
    installed, ``enabled``: that opens its ports at each boot.
    """

    booted: bool
    installed: bool
    socket: bool
    enabled: bool
    active: bool


def at(tree: object, key: str) -> Any:
    """What stands under the dotted ``key``; None where nothing does."""
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree


def without_placeholders(tree: Mapping[str, Any], example: Mapping[str, Any]) -> dict[str, Any]:
    """The tree less what the example says of the site."""
    left = {name: dict(value) if isinstance(value, Mapping) else value for name, value in tree.items()}
    for key in SITE:
        section, _, name = key.partition(".")
        if at(left, key) is not None and at(left, key) == at(example, key):
            del left[section][name]
    return left


def is_sealed(answers: Answers) -> bool:
    """Whether the CSMS is reached under TLS."""
    return str(answers.get("csms_url", "")).lower().startswith("wss:")


def default_profile(answers: Answers, place: Place) -> str | None:
    """The security profile towards the CSMS, where other answers or the configuration tell it."""
    if answers.get("csms_cert"):
        return "3"
    sealed = is_sealed(answers)
    if answers.get("password"):
        return "2" if sealed else "1"
    if not place.is_set_up:
        return None
    if sealed and place.text("csms.cert_file"):
        return "3"
    return ("2" if sealed else "1") if place.has_password() else "0"


def default_port(section: str, low: str, high: str, answers: Answers, place: Place) -> str:
    """The port of a listener that may be below 1024: the present one where that is as it was asked for."""
    present = place.port(section)
    wants_low = bool(answers.get("low_ports"))
    if present and (0 < int(present if present.isdecimal() else 0) < 1024) == wants_low:
        return present
    return low if wants_low else high


def default_low_ports(_answers: Answers, place: Place) -> bool:
    """Whether HTTP and FTP are on their own ports: as they are; on a new site where systemd can hand these over."""
    if not place.is_set_up:
        return place.low_ports
    return place.port("publish.http") == "80" or place.port("publish.ftp") == "21"


def default_plain(_answers: Answers, place: Place) -> bool:
    """Whether stations may come without TLS beside those with it: only where they do already."""
    return place.is_set_up and place.has("stations.ws")
