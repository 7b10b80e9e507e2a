"""Certificates, their keys and roots: whether they load, and how long they are good for."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from localctl.certificate import Validity, validities
from localctl.checking.names import covers, shown
from localctl.checking.verdict import Check, day
from localctl.errors import ConfigurationError
from localctl.station_sections import StationsWss
from localctl.tls import OLD, client_context, read_pem, server_context, station_context

SOON_SECONDS: Final = 30 * 86400
_PEM_ADVICE: Final = "Put a PEM file there that localctl's user may read."


def of_client(section: str, now: float, **files: str) -> Iterator[Check]:
    """What a client of ours trusts and shows; ``files`` are its ``ca_file``, ``cert_file`` and ``key_file``."""
    return _tried(section, now, lambda: client_context(section, **files), files)


def of_listener(section: str, cert_file: str, key_file: str, now: float) -> Iterator[Check]:
    """What a listener shows."""
    return _tried(section, now, lambda: server_context(section, cert_file, key_file), {"cert_file": cert_file})


def of_stations(wss: StationsWss, now: float, csms_host: str = "") -> Iterator[Check]:
    """What the stations' TLS listener shows, whom it trusts, and the least TLS that it speaks."""
    files = {
        "cert_file": wss.cert_file,
        "rsa_cert_file": wss.rsa_cert_file,
        "client_ca_file": wss.client_ca_file,
    }
    yield from _tried("stations.wss", now, lambda: station_context(wss), files)
    yield from _not_for_csms(wss, csms_host)
    if wss.min_tls in OLD:
        what = f"stations.wss.min_tls: stations may use TLS {wss.min_tls}, which OCPP forbids (A00.FR.313)"
        yield Check("warn", what, 'Set it to "1.2" once no station needs less.')


def _not_for_csms(wss: StationsWss, csms_host: str) -> Iterator[Check]:
    """Part 4, 6.5: a station must be able to tell us from the CSMS."""
    for name in ("cert_file", "rsa_cert_file"):
        try:
            whose = shown(Path(getattr(wss, name)).read_bytes()) if getattr(wss, name) else None
        except OSError:  # told already
            continue
        if whose and csms_host and covers(whose.names, csms_host):
            advice = "Have one issued for this gateway's own name alone (OCPP 2.0.1 Part 4, 6.5)."
            yield Check("warn", f"stations.wss.{name}: it is for {csms_host}, the CSMS's own host, too", advice)


def _tried(section: str, now: float, make: Callable[[], object], files: Mapping[str, str]) -> Iterator[Check]:
    """Whether all of it loads, and until when each of ``files`` is good."""
    try:
        make()
    except ConfigurationError as fault:
        yield from (Check("FAIL", line, _PEM_ADVICE) for line in fault.faults)
        return
    for name, path in files.items():
        if path and not name.endswith("key_file"):
            key = f"{section}.{name}"
            pem = read_pem(key, path)
            roots = name.endswith("ca_file")
            whose = None if roots else shown(pem)
            what = f'{key}: {path}, for {whose.whose}, by "{whose.issuer}",' if whose else f"{key}: {path}"
            yield _validity(what, validities(pem), now, trusted=roots)


def _validity(what: str, found: tuple[Validity, ...], now: float, *, trusted: bool) -> Check:
    """Of roots one that is valid is enough; a chain is as good as the first that expires."""
    ends = (max if trusted else min)(validity.ends for validity in found)
    begins = (min if trusted else max)(validity.begins for validity in found)
    renew = "Ask whoever issued it for a new one."
    if begins > now:
        return Check("FAIL", f"{what} is not valid before {day(begins)}", "Is this machine's clock right?")
    if ends <= now:
        return Check("FAIL", f"{what} expired on {day(ends)}", renew)
    if ends <= now + SOON_SECONDS:
        return Check("warn", f"{what} expires on {day(ends)}, in {(ends - now) / 86400:.0f} days", renew)
    return Check("ok", f"{what} is valid until {day(ends)}")
