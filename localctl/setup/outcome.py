"""What becomes of the answers: keys of the configuration, and what the configuration's own rules say of them. Rules.

Only keys that were asked about are touched; a listener keeps the address that it listens on, and gets a port.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from localctl.config import parse
from localctl.errors import ConfigurationError
from localctl.setup.place import Answers, Place, at
from localctl.setup.questions import PROFILES, QUESTIONS, Question

_ANY: Final = "0.0.0.0"  # noqa: S104  written into a file: the LAN is where stations are
_SCHEMES: Final = {"1": "ws", "2": "wss", "3": "wss"}  # profile 0 goes with either
_MENDED: Final = frozenset(  # beside the questions' own keys
    {"controller", "csms", "csms.basic_auth_password", "csms.basic_auth_password_file", "stations.wss", "publish.https"}
)
_LEAST: Final = 16  # characters of a password


@dataclass(frozen=True, slots=True)
class Outcome:
    """``values`` by dotted key; ``closed`` are sections that shall not be there."""

    values: Mapping[str, str]
    closed: tuple[str, ...]


def outcome(answers: Answers, place: Place, password_file: str) -> Outcome:
    """What the answers given so far make of the configuration; ``password_file`` is where a new password goes."""
    values = dict(_values(answers, place, password_file))
    closed = tuple(_closed(answers))
    return Outcome({key: value for key, value in values.items() if key.rpartition(".")[0] not in closed}, closed)


def applied(tree: Mapping[str, Any], made: Outcome) -> dict[str, Any]:
    """The tree with the outcome in it."""
    grown = _copied(tree)
    for section in made.closed:
        parent, _, name = section.rpartition(".")
        if isinstance(within := at(grown, parent), dict):
            within.pop(name, None)
    for key, value in made.values.items():
        *path, name = key.split(".")
        holder = grown
        for part in path:
            holder = holder.setdefault(part, {})
        holder[name] = value
    return grown


def complaint(question: Question, answers: Answers, place: Place) -> str:
    """What is wrong with the answer to ``question``; empty where nothing is."""
    answer = answers[question.name]
    if question.name == "profile":
        return _unfit(str(answer), str(answers.get("csms_url", "")))
    if question.kind in {"secret", "file"} and not answer and question.default(answers, place) is None:
        return "is needed"
    if question.kind == "secret":
        return "" if str(answer).isprintable() else "is no password; allowed: one line of text, as the CSMS has it"
    tree = applied(_smallest(place), outcome(answers, place, "/x"))
    return "\n".join(_about(question.keys, faults(tree)))


def faults(tree: Mapping[str, Any]) -> tuple[str, ...]:
    """Every fault of a configuration, each beginning with its key."""
    try:
        parse(tree, "", None)
    except ConfigurationError as fault:
        return tuple(line.removeprefix(": ") for line in fault.faults)
    return ()


def beyond(tree: Mapping[str, Any]) -> tuple[str, ...]:
    """The faults of a configuration that no answer mends."""
    asked = {key for question in QUESTIONS for key in question.keys} | _MENDED
    return tuple(line for line in faults(tree) if line.partition(": ")[0] not in asked)


def doubts(answers: Answers) -> Iterator[str]:
    """What is allowed and not as it should be."""
    password = str(answers.get("password", ""))
    if 0 < len(password) < _LEAST:
        yield f"The password is short: OCPP asks for a random one of {_LEAST} to 40 characters (A00.FR.205)."
    if answers.get("profile") == "1":
        yield "Profile 1 sends the password unencrypted: use it within a VPN only."


def _values(answers: Answers, place: Place, password_file: str) -> Iterator[tuple[str, str]]:
    """Each key that an answer is about."""
    plain = {"csms_url": "csms.url", "identity": "controller.identity", "csms_ca": "csms.ca_file"}
    yield from ((key, str(answers[name])) for name, key in plain.items() if name in answers)
    if "csms_ca" not in answers and "profile" in answers:
        yield "csms.ca_file", ""
    if "host" in answers:
        yield "publish.host", "" if answers["host"] == "auto" else str(answers["host"])
    if "profile" in answers:
        yield from _credentials(answers, password_file)
    yield from _pair(answers, "wss", "stations.wss")
    yield from _pair(answers, "https", "publish.https")
    if "client_ca" in answers:
        yield "stations.wss.client_ca_file", str(answers["client_ca"])
    listeners = {"stations": "stations.ws", "wss": "stations.wss", "http": "publish.http", "ftp": "publish.ftp"}
    for name, section in {**listeners, "https": "publish.https"}.items():
        if port := answers.get(f"{name}_port"):
            host = place.text(f"{section}.listen").rpartition(":")[0] or _ANY
            yield f"{section}.listen", f"{host}:{port}"


def _credentials(answers: Answers, password_file: str) -> Iterator[tuple[str, str]]:
    """What the controller proves by who it is, and nothing of what it proved it by before."""
    profile = answers["profile"]
    if profile not in {"1", "2"}:
        yield "csms.basic_auth_password", ""
        yield "csms.basic_auth_password_file", ""
    elif answers.get("password"):
        yield "csms.basic_auth_password", ""
        yield "csms.basic_auth_password_file", password_file
    if profile != "3":
        yield "csms.cert_file", ""
        yield "csms.key_file", ""
    else:
        yield from _pair(answers, "csms", "csms")


def _pair(answers: Answers, name: str, section: str) -> Iterator[tuple[str, str]]:
    """A certificate and its key, once both are known."""
    cert, key = answers.get(f"{name}_cert"), answers.get(f"{name}_key")
    if cert and key:
        yield f"{section}.cert_file", str(cert)
        yield f"{section}.key_file", str(key)


def _closed(answers: Answers) -> Iterator[str]:
    """Sections of what is not wanted."""
    if answers.get("wss_cert") == "":
        yield "stations.wss"
    elif answers.get("wss_cert") and answers.get("ws") is False:
        yield "stations.ws"
    for name, section in {"http": "publish.http", "ftp": "publish.ftp"}.items():
        if answers.get(name) is False:
            yield section
    if answers.get("https_cert") == "":
        yield "publish.https"


def _smallest(place: Place) -> dict[str, Any]:
    """A configuration that nothing is wrong with, and where its admin listener is: no other can be there.

    The listener has some password: without one it may not be on the network, and nothing else would be looked at.
    """
    smallest: dict[str, Any] = {"controller": {"identity": "LC"}, "csms": {"url": "ws://csms"}}
    listen = place.text("admin.listen")
    return smallest | ({"admin": {"listen": listen, "password": "some"}} if listen else {})


def _unfit(profile: str, url: str) -> str:
    if profile not in PROFILES:
        return f"is no security profile; allowed: {', '.join(PROFILES)}"
    wanted = _SCHEMES.get(profile)
    if wanted and url.partition(":")[0].lower() != wanted:
        return f"profile {profile} needs a {wanted}:// URL; allowed with this one: " + (
            "0, 2 or 3" if url.lower().startswith("wss:") else "0 or 1"
        )
    return ""


def _about(keys: tuple[str, ...], lines: tuple[str, ...]) -> Iterator[str]:
    """Those of the lines that are about one of ``keys``, also as the one that has taken another's address."""
    return (
        line for line in lines if line.partition(": ")[0] in keys or any(f" is taken by {key} " in line for key in keys)
    )


def _copied(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copied(value) if isinstance(value, Mapping) else value for key, value in tree.items()}
