"""This machine's clock: whether it can be right, and how it goes beside the CSMS's. Edge, but for ``beside``."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final

from localctl.checking.patience import within
from localctl.checking.verdict import Check, day
from localctl.checking.way import Place
from localctl.config import Config
from localctl.errors import ConfigurationError
from localctl.tls import SANE_CLOCK, client_context

_SECONDS: Final = 3
_CLOSE: Final = 5  # seconds; a Date has whole ones, and was on its way
_FAR: Final = 60
_SET: Final = "Set it (timedatectl set-ntp true): "


def sane(now: float) -> Check:
    """Whether the clock can be right at all; ``now`` is Unix seconds."""
    if now >= SANE_CLOCK:
        return Check("ok", f"clock: {day(now)}")
    return Check("warn", f"clock: {day(now)} cannot be right", f"{_SET}with a wrong date every certificate is refused.")


def beside(date: str, now: float) -> Iterator[Check]:
    """Our clock beside a Date header of the CSMS (RFC 9110, 6.6.1); nothing where it sent none that can be read."""
    try:
        theirs = parsedate_to_datetime(date)
    except (ValueError, OverflowError):  # a number without end
        return
    offset = now - theirs.replace(tzinfo=theirs.tzinfo or UTC).timestamp()
    if abs(offset) <= _CLOSE:
        yield Check("ok", f"clock: it agrees with the CSMS's, {datetime.fromtimestamp(now, UTC):%H:%M} UTC")
        return
    what = f"clock: it is {abs(offset):.0f} s {'ahead of' if offset > 0 else 'behind'} the CSMS's"
    if abs(offset) <= _FAR:
        yield Check("ok", f"{what}, which does no harm")
    else:
        yield Check(
            "warn", what, f"{_SET}times in the CSMS would be wrong, and certificates refused. Or is the CSMS's?"
        )


def date_of(config: Config, place: Place) -> str:
    """The Date of the CSMS's web server, asked without a name or a password; empty where it tells none."""
    try:
        return within(_SECONDS, lambda: _asked(config, place))
    except (ConfigurationError, HTTPException, OSError):
        return ""


def _asked(config: Config, place: Place) -> str:
    """Raises OSError, HTTPException or ConfigurationError."""
    csms = config.csms
    connection: HTTPConnection
    if place.encrypted:
        files = {"ca_file": csms.ca_file, "cert_file": csms.cert_file, "key_file": csms.key_file}
        context = client_context("csms", **files)
        connection = HTTPSConnection(place.host, place.port, timeout=_SECONDS, context=context)
    else:
        connection = HTTPConnection(place.host, place.port, timeout=_SECONDS)
    with closing(connection):
        connection.request("HEAD", "/")
        return connection.getresponse().headers.get("Date", "")
