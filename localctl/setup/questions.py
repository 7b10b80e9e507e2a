"""The questions of `localctl setup`: the table of all, in their order. Rules: no I/O.

Each is a flag as well. One without a default has to be answered by a person or a flag; what is ``offered`` to a person
is not taken where nobody is there. A ``quiet`` one is a flag alone: its default is right for most.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from localctl.setup.place import (
    Answer,
    Answers,
    Place,
    default_low_ports,
    default_plain,
    default_port,
    default_profile,
    is_sealed,
)

Default = Callable[[Answers, Place], Answer | None]


@dataclass(frozen=True, slots=True)
class Question:
    """One question. ``keys`` are what its answer is about: what the configuration's rules say of them is its fault."""

    name: str
    asks: str
    why: str
    keys: tuple[str, ...] = ()
    kind: Literal["text", "yes", "secret", "choice", "file"] = "text"
    asked: Callable[[Answers], bool] = lambda _: True
    default: Default = lambda *_: None
    offered: Default = lambda *_: None
    goes_with: str = ""
    quiet: bool = False
    needed: bool = False  # a person has to say something, though nobody has to

    @property
    def flag(self) -> str:
        """As it is given on the command line."""
        if self.kind == "secret":
            return f"--{self.name}-file"
        return f"--{self.name}".replace("_", "-")


def _present(key: str, otherwise: str | None = None) -> Default:
    """What stands under that key."""
    return lambda _, place: place.text(key) or otherwise


def _only(addresses: Sequence[str]) -> str | None:
    """The address to propose: where there are several, somebody has to say which is the stations'."""
    return (addresses[0] if addresses else "auto") if len(addresses) < 2 else None


def _there(section: str) -> Default:
    """Whether the section is there; it is, where nothing was set up yet."""
    return lambda _, place: place.has(section) or not place.is_set_up


def _port(section: str, low: str, high: str) -> Default:
    return lambda answers, place: default_port(section, low, high, answers, place)


def _given(name: str) -> Callable[[Answers], bool]:
    return lambda answers: bool(answers.get(name))


def _profile(*profiles: str) -> Callable[[Answers], bool]:
    return lambda answers: answers.get("profile") in profiles


PROFILES: Final = ("0", "1", "2", "3")
_PEM: Final = "A PEM file that localctl's user may read, as in /etc/localctl"

QUESTIONS: Final = (
    Question(
        "csms_url", "URL of the CSMS",
        'As the CSMS\'s operator gave it, without an identity at its end: "ws://…", or "wss://…" for TLS.',
        ("csms.url",), default=_present("csms.url"),
    ),
    Question(
        "identity", "Identity of this controller",
        "The name under which the CSMS knows this gateway. It is no station's.",
        ("controller.identity",), default=_present("controller.identity"), offered=lambda _, place: place.hostname,
    ),
    Question(
        "profile", "Security profile towards the CSMS",
        "How this gateway proves who it is. 0: not at all. 1: a password, without TLS (ws://). 2: a password within\n"
        "TLS (wss://). 3: a certificate (wss://). How stations prove it is asked further down.",
        kind="choice", default=default_profile, offered=lambda answers, _: "2" if is_sealed(answers) else "1",
    ),
    Question(
        "password", "Password of this controller",
        "The one that the CSMS has for the identity above; it is kept in a file of its own, and not shown.",
        kind="secret", asked=_profile("1", "2"), default=lambda _, place: "" if place.has_password() else None,
        goes_with="--profile 1 or 2",
    ),
    Question(
        "csms_ca", "Root certificates for the CSMS",
        "Only where the CSMS's certificate comes from an authority of its own. Empty: the system's roots.\n"
        f"{_PEM}.",
        ("csms.ca_file",), "file", is_sealed, _present("csms.ca_file", ""), goes_with="a wss:// URL",
    ),
    Question(
        "csms_cert", "Certificate of this controller", f"{_PEM}, with the chain behind it.",
        ("csms.cert_file",), "file", _profile("3"), _present("csms.cert_file"), goes_with="--profile 3",
    ),
    Question(
        "csms_key", "Its key", f"{_PEM}; the key has no passphrase.",
        ("csms.key_file",), "file", _profile("3"), _present("csms.key_file"), goes_with="--profile 3",
    ),
    Question(
        "host", "Address of this gateway on the stations' LAN",
        'Stations are told to fetch firmware there. It should be a fixed one. "auto": found anew at each start.',
        ("publish.host",), default=_present("publish.host", ""),
        offered=lambda _, place: _only(place.addresses), needed=True,
    ),
    Question(
        "wss_cert", "Certificate for stations that come with TLS",
        f"{_PEM}, for the host in the stations' URLs.\nEmpty: stations come without TLS.",
        ("stations.wss.cert_file",), "file", default=_present("stations.wss.cert_file", ""),
    ),
    Question(
        "wss_key", "Its key", f"{_PEM}; the key has no passphrase.",
        ("stations.wss.key_file",), "file", _given("wss_cert"), _present("stations.wss.key_file"),
        goes_with="--wss-cert",
    ),
    Question(
        "client_ca", "Root of the stations' own certificates",
        "Where stations prove by a certificate who they are (profile 3): a PEM file. Empty: by a password, or not.",
        ("stations.wss.client_ca_file",), "file", _given("wss_cert"), _present("stations.wss.client_ca_file", ""),
        goes_with="--wss-cert",
    ),
    Question(
        "wss_port", "Port for stations with TLS", "", ("stations.wss.listen",), asked=_given("wss_cert"),
        default=lambda _, place: place.port("stations.wss") or "8443", goes_with="--wss-cert", quiet=True,
    ),
    Question(
        "ws", "May stations come without TLS as well",
        "Yes while some have not been moved to wss:// yet; no where all of them have TLS.",
        ("stations.ws",), "yes", _given("wss_cert"), default_plain, goes_with="--wss-cert",
    ),
    Question(
        "stations_port", "Port for stations without TLS", "", ("stations.ws.listen",), quiet=True,
        asked=lambda answers: bool(answers.get("ws")) or not answers.get("wss_cert"),
        default=lambda _, place: place.port("stations.ws") or "8887", goes_with="--ws",
    ),
    Question(
        "low_ports", "Firmware on the usual ports, 80 and 21",
        "Old stations often know no others. Needs localctl.socket of the Debian package, which hands them over.\n"
        "No: 8080 and 2121.",
        kind="yes", asked=lambda answers: not {"http_port", "ftp_port"} <= answers.keys(), default=default_low_ports,
        goes_with="ports that are not given by themselves",
    ),
    Question(
        "http", "Serve firmware over HTTP", "", ("publish.http",), "yes", default=_there("publish.http"), quiet=True
    ),
    Question(
        "http_port", "Its port", "", ("publish.http.listen",), asked=_given("http"),
        default=_port("publish.http", "80", "8080"), goes_with="--http", quiet=True,
    ),
    Question(
        "ftp", "Serve firmware over FTP as well", "Read-only, without a password. Many old stations know FTP only.",
        ("publish.ftp",), "yes", default=_there("publish.ftp"),
    ),
    Question(
        "ftp_port", "Its port", "", ("publish.ftp.listen",), asked=_given("ftp"),
        default=_port("publish.ftp", "21", "2121"), goes_with="--ftp", quiet=True,
    ),
    Question(
        "https_cert", "Certificate for firmware over HTTPS",
        f"{_PEM}, for the address on the LAN. Empty: no HTTPS.",
        ("publish.https.cert_file",), "file", default=_present("publish.https.cert_file", ""),
    ),
    Question(
        "https_key", "Its key", f"{_PEM}; the key has no passphrase.",
        ("publish.https.key_file",), "file", _given("https_cert"), _present("publish.https.key_file"),
        goes_with="--https-cert",
    ),
    Question(
        "https_port", "Its port", "", ("publish.https.listen",), asked=_given("https_cert"),
        default=_port("publish.https", "443", "8444"), goes_with="--https-cert", quiet=True,
    ),
)  # fmt: skip
