"""Who may pass, and what one side sees of the other. Rules: no I/O, no clock.

The controller is not to be noticed (Part 4 §6.1): what one side sends goes on as it came, but for what belongs to
one connection alone, and what ends one side ends the other in the same words as far as a WebSocket may say them
(§6.3). Only four things are the controller's own to decide: an identity that is not let in, an offer of subprotocols
that holds nothing it may relay, a house that is full, and a CSMS that does not answer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Literal
from urllib.parse import unquote

Side = Literal["station", "csms"]
Headers = tuple[tuple[str, str], ...]

# RFC 9110 §7.6.1 and RFC 6455 §4: what is said to the next hop only. Content-Length is counted anew.
_HOP_BY_HOP: Final = frozenset(
    {
        "connection", "content-length", "host", "keep-alive", "proxy-authenticate", "proxy-authorization",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_HANDSHAKE: Final = "sec-websocket-"
# RFC 6455 §7.4: codes that report what never was on the wire.
_REPORTED: Final = {1005: 1000, 1006: 1001, 1015: 1001}
_SENDABLE: Final = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})
GOING_AWAY: Final = 1001
# The codes with which we end a leg for what it sent, as labels of relay_rejected_messages_total.
REJECTED: Final = {1009: "oversize", 1007: "invalid"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP answer to a station's handshake; 101 is one that is closed at once.

    ``result`` is a label of station_handshakes_total, ``why`` a half sentence for the log. No ``phrase``: the usual.
    """

    status: int
    result: str
    why: str
    headers: Headers = ()
    body: bytes = b""
    phrase: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """What ended a relay, a label of station_disconnects_total, and how the legs still open are closed."""

    cause: str
    code: int
    reason: str = ""


_LATER: Final = (("Retry-After", "30"),)  # seconds; about as long as a CSMS takes to restart
# A 404's body is taken for an image by some stations: every refusal of ours has an empty one.
OWN_IDENTITY: Final = Refusal(403, "identity", "the identity is the controller's own")
NO_IDENTITY: Final = Refusal(404, "identity", "the URL carries no identity")
NOT_ALLOWED: Final = Refusal(404, "identity", "stations.allowed_identities does not allow the identity")
NO_VERSION: Final = Refusal(101, "subprotocol", "it offers no OCPP version that may be relayed")  # OCPP-J 3.2
FULL: Final = Refusal(503, "full", "as many stations are relayed as stations.max_stations allows", _LATER)
BROKEN: Final = Refusal(500, "failed", "a fault of localctl's own")
LEAVING: Final = Refusal(503, "stopping", "the controller is stopping", _LATER)

REPLACED: Final = Ending("replaced", GOING_AWAY)
# Why we ended a leg ourselves, by the close code that its peer got; 1011 is how `websockets` ends one without pongs.
# 1008 is for a BootNotification that contradicts the station's certificate (B01.FR.12).
_OUR_FAULTS: Final = {1002: "invalid", 1007: "invalid", 1008: "certificate", 1009: "oversize", 1011: "timeout"}
STOPPING: Final = Ending("stopping", GOING_AWAY)
FAILED: Final = Ending("failed", GOING_AWAY)


def identity_of(target: str) -> str:
    """The identity in a request target (Part 4 §6.2): the last raw path segment, percent-decoded once.

    Empty where there is none, and where the target is no plain path: what has a control character or a fragment is
    read differently by different servers, and could be our own identity to the CSMS.
    """
    path = target.partition("?")[0]
    if not path.startswith("/") or "#" in target or not target.isprintable():
        return ""
    return unquote(path.rpartition("/")[2], errors="backslashreplace")


def judge(identity: str, own: str, allowed: tuple[str, ...]) -> Refusal | None:
    """Whether a station of that identity is turned away (Part 4 §3.2, §6.2). ``allowed`` holds globs; none: any."""
    if not identity:
        return NO_IDENTITY
    if identity.casefold() == own.casefold():  # it would displace the uplink; OCPP's identifiers ignore case
        return OWN_IDENTITY
    if allowed and not any(fnmatchcase(identity, pattern) for pattern in allowed):
        return NOT_ALLOWED
    return None


def offer(subprotocols: Iterable[str], versions: Iterable[str]) -> tuple[str, ...]:
    """What of the station's offer goes on to the CSMS, in the station's order (Part 4 §6.2)."""
    allowed = {f"ocpp{version}" for version in versions}
    return tuple(name for name in subprotocols if name in allowed)


def ocpp_version(subprotocol: str | None) -> str:
    """``1.6`` for ``ocpp1.6``; empty where none was chosen."""
    return (subprotocol or "").removeprefix("ocpp")


def passed_on(headers: Iterable[tuple[str, str]]) -> Headers:
    """The headers of one side's answer that the other side is to see, as they came (Part 4 §6.1)."""
    return rewritten(headers, {})


def rewritten(headers: Iterable[tuple[str, str]], own: Mapping[str, str | None]) -> Headers:
    """One side's headers as the other side is to see them (Part 4 §6.1): in their order and their words.

    What concerns one connection alone is ``own``: at the place where the other side has it, else at the end; None:
    nowhere. Words that say the same stay (``upgrade`` for ``Upgrade``).
    """
    given = tuple(headers)
    left = {name.lower(): (name, value) for name, value in own.items()}
    named = {
        token.strip().lower() for name, value in given if name.lower() == "connection" for token in value.split(",")
    }
    made: list[tuple[str, str]] = []
    for name, value in given:
        if name.lower() in left:
            _, mine = left.pop(name.lower())
            if mine is not None:
                made.append((name, value if value.lower() == mine.lower() else mine))
        elif name.lower() not in _HOP_BY_HOP | named and not name.lower().startswith(_HANDSHAKE):
            made.append((name, value))
    return (*made, *((name, value) for name, value in left.values() if value is not None))


def refused_by_csms(status: int, phrase: str, headers: Iterable[tuple[str, str]], body: bytes) -> Refusal:
    """The CSMS's answer to the handshake, other than 101, as the station gets it (Part 4 §6.1).

    A redirect goes on as it is: whether to follow it is the station's to decide, as it would be without us, and
    following it for the station would take its credentials to a host that the installer did not name.
    """
    if status < 300:
        return nonsense(f"the CSMS answered the handshake with HTTP {status}")
    why = f"the CSMS answered HTTP {status}"
    return Refusal(status, "refused_by_csms", why, passed_on(headers), body, phrase)


def nonsense(why: str) -> Refusal:
    """The CSMS answered what cannot be passed on, or its TLS failed."""
    return Refusal(502, "csms_invalid", why)


def unreachable(why: str) -> Refusal:
    """The CSMS did not answer."""
    return Refusal(503, "csms_unreachable", why, _LATER)


def ending(side: Side, received: tuple[int, str] | None, failed: int | None) -> Ending:
    """How the other leg is closed when the leg of ``side`` has ended (Part 4 §6.3).

    ``received`` is the code and reason of its close frame, None where it had none; ``failed`` the code with which we
    ended it for a fault, None where its peer ended it. That code was meant for the faulty side: to the other one
    its peer has gone away.
    """
    if failed is not None:
        return Ending(_OUR_FAULTS.get(failed, "failed"), GOING_AWAY)
    if received is None:
        return Ending(side, GOING_AWAY)
    code, reason = received
    if code in _REPORTED:
        return Ending(side, _REPORTED[code])
    return Ending(side, code, reason) if code in _SENDABLE else Ending(side, GOING_AWAY)
