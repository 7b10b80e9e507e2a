"""What the CSMS says to our identity and password: a handshake as the controller makes it, closed at once. Edge.

A CSMS keeps one connection an identity: where the daemon runs it is asked what it was told, and the CSMS is not.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import quote, urlsplit

from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus

from localctl.checking.patience import within
from localctl.checking.seal import afterthought
from localctl.checking.verdict import Check
from localctl.checking.way import Place
from localctl.config import Config, Csms
from localctl.errors import ConfigurationError, LinkFailed
from localctl.saying import age
from localctl.tls import client_context
from localctl.uplink.dial import Dialler

SECONDS: Final = 5
_CLOSED: Final = 1000
_HTTP: Final = re.compile(r"HTTP (\d{3})")
_LATER: Final = "It, or what stands before it, is in trouble: try again later, or tell its operator."
_PATH: Final = (
    "Is the path in csms.url the one that the operator gave, without the identity behind it? Then ask whether"
)
_ADVICE: Final[Mapping[int, str]] = {
    400: f"It takes this for no OCPP connection. {_PATH} it lets this identity in.",
    401: "Compare controller.identity and csms.basic_auth_password with what the CSMS has for this controller.",
    403: "It knows us, or our address, and does not let us in: ask the operator whether this identity may connect.",
    404: f"Nothing is there. {_PATH} the CSMS knows this identity.",
    407: "A proxy stands in between and asks for a password: the firewall must let this machine past it.",
    426: f"It takes this for no WebSocket. {_PATH} something in between takes the upgrade away.",
    429: "It has had too many tries from here: wait some minutes.",
}
_BY_REASON: Final[Mapping[str, str]] = {
    "tls": "Security profile 3 needs csms.cert_file and key_file, from an authority that the CSMS knows.",
    "timeout": "It took the connection and says nothing: is this the port of OCPP? Ask the operator what it logs.",
    "refused": "Is the port right, and does a firewall let this machine out?",
    "dns": "Is the name right, and does this machine have DNS (resolvectl query NAME)?",
    "protocol": "Is the port the one of OCPP, and the path right? Something else than a CSMS may answer there.",
}
_REGISTER: Final = "The operator has to accept this controller in the CSMS; until then it takes no firmware orders."


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found, and the Date header that the CSMS sent with it (empty: none)."""

    check: Check
    date: str = ""


def ask(config: Config) -> Answer | None:
    """Dial; None where our certificates do not load, which is told with them."""
    csms, identity = config.csms, config.controller.identity
    try:
        files = {"ca_file": csms.ca_file, "cert_file": csms.cert_file, "key_file": csms.key_file}
        tls = client_context("csms", **files) if csms.url.startswith("wss:") else None
    except ConfigurationError:
        return None
    patient = csms.model_copy(update={"connect_timeout_seconds": min(SECONDS, csms.connect_timeout_seconds)})
    dialler = Dialler(identity, patient, tls, f"localctl/{version('localctl')}", time.time)
    try:
        spoken, date = within(SECONDS + 1, lambda: asyncio.run(_opened(dialler)))
    except LinkFailed as fault:
        status, location, date = _refusal(fault)
        if tls and not status and (words := afterthought(tls, Place.of(csms.url), time.time())):
            fault = LinkFailed("tls", words)
        return Answer(refused(config, fault, status, location), date)
    except TimeoutError:
        return Answer(refused(config, LinkFailed("timeout", "the CSMS did not answer in time"), 0, ""))
    proof = "with our password" if csms.basic_auth_password.get_secret_value() else "without a password"
    proof += " and our certificate" if csms.cert_file and tls else ""
    return Answer(Check("ok", f"csms: it lets {identity} in {proof}, on OCPP {spoken}"), date)


def refused(config: Config, fault: LinkFailed, status: int, location: str) -> Check:
    """What a refusal says, and what to do. ``status`` 0: it was none of HTTP's; ``location``: where it sends us."""
    what = f"csms: {fault}, to {quote(config.controller.identity, safe='')} at {config.csms.url}"
    if location:
        what += f", and sends us to {_plainly(location)}"
    if fault.reason == "protocol" and "chose none" in str(fault):
        offered = ", ".join(config.csms.ocpp_versions)
        return Check("FAIL", what, f"Have the operator enable OCPP {offered} for it, or change csms.ocpp_versions.")
    return Check("FAIL", what, advice(fault.reason, status, config.csms))


def _plainly(location: str) -> str:
    """Where that leads, without what may be a secret in it."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "what is no URL"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def advice(reason: str, status: int, csms: Csms) -> str:
    """What to do where the CSMS answered HTTP ``status``, or failed us for ``reason`` (one of the metrics')."""
    if 300 <= status < 400:
        return "Redirects are not followed, for our password would follow them: write the true URL into csms.url."
    if status >= 500:
        return _LATER
    if status == 401 and not csms.basic_auth_password.get_secret_value():
        return "No password is set here: write the CSMS's for this controller into csms.basic_auth_password."
    return _ADVICE.get(status) or _BY_REASON.get(reason) or "Show this line to the CSMS's operator."


def told(config: Config, uplink: Mapping[str, Any], now: float) -> Check:
    """What the running daemon says of its connection: ``uplink`` of its status; ``now`` is Unix seconds."""
    if not uplink.get("connected"):
        words = str(uplink.get("last_error") or "still connecting")
        status = _HTTP.search(words)
        todo = advice("", int(status[1]) if status else 0, config.csms)
        return Check("FAIL", f"csms: localctl runs and is not connected: {words}", todo)
    since = age(uplink.get("since"), now)
    what = f"csms: localctl runs, and is connected for {since} on OCPP {uplink.get('ocpp_version')}"
    registration = uplink.get("registration")
    if registration == "Accepted":
        return Check("ok", f"{what}; it was not disturbed")
    return Check("warn", f"{what}; its BootNotification was answered {registration or 'with nothing yet'}", _REGISTER)


async def _opened(dialler: Dialler) -> tuple[str, str]:
    """The version chosen, and the Date of the answer. Raises LinkFailed."""
    link = await dialler.dial()
    response = link.socket.response
    await link.socket.close(_CLOSED)
    return link.version, _first(response.headers, "Date") if response else ""


def _refusal(fault: LinkFailed) -> tuple[int, str, str]:
    """The status of HTTP, its Location and its Date; 0 and nothing where it was none."""
    cause = fault.__cause__
    if isinstance(cause, InvalidStatus):
        response = cause.response
        return response.status_code, _first(response.headers, "Location"), _first(response.headers, "Date")
    return 0, "", ""


def _first(headers: Headers, name: str) -> str:
    """A header in any case, and once: a proxy may add its own to the CSMS's."""
    return next(iter(headers.get_all(name)), "")
