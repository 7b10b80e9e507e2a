"""What is said before and after the writing: the keys, and what to do next. Rules: no I/O.

No password is among the values: the configuration holds the path of its file.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from localctl.setup.outcome import Outcome
from localctl.setup.place import Service, at

DEFAULT_PORTS: Final = {"ws": "80", "wss": "443"}
_LISTENERS: Final = ("stations.ws", "stations.wss", "publish.http", "publish.https", "publish.ftp")
_PRIVILEGED: Final = 1024


def summary(before: Mapping[str, Any], tree: Mapping[str, Any], made: Outcome) -> Iterator[str]:
    """What ``tree`` says of each key that was asked about, as TOML has it, and which sections of ``before`` go."""
    told = ""
    split = (key.rpartition(".") for key in made.values)
    for section, _, name in sorted(split, key=lambda parts: (parts[0] not in {"controller", "csms"}, parts)):
        key = f"{section}.{name}"
        value = at(tree, key)
        if not value:
            continue
        if section != told:
            yield f"[{section}]"
            told = section
        yield f'{name} = "{value}"'
    yield from (f"without [{section}]" for section in made.closed if at(before, section) is not None)


def station_urls(tree: Mapping[str, Any], address: str) -> tuple[str, ...]:
    """What stations are to be given in place of the CSMS's URL; ``address`` is this gateway's on their LAN."""
    path = urlsplit(str(at(tree, "csms.url"))).path.rstrip("/")
    host = f"[{address}]" if ":" in address else address
    urls = []
    for scheme in ("ws", "wss"):
        listen = at(tree, f"stations.{scheme}.listen")
        if isinstance(listen, str):
            port = listen.rpartition(":")[2]
            at_port = "" if port == DEFAULT_PORTS[scheme] else f":{port}"
            urls.append(f"{scheme}://{host}{at_port}{path}/IDENTITY")
    return tuple(urls)


def low_ports(tree: Mapping[str, Any]) -> bool:
    """Whether stations are to find a listener below 1024, which systemd has to hand over."""
    ports = (str(at(tree, f"{section}.listen") or "").rpartition(":")[2] for section in _LISTENERS)
    return any(port.isdecimal() and 0 < int(port) < _PRIVILEGED for port in ports)


def next_steps(path: Path, default: str, status: int, service: Service, *, low: bool) -> Iterator[str]:
    """What to do after the writing. ``status`` is that of the check, ``low``: a listener is on a port below 1024."""
    named = "" if str(path) == default else f" --config {path}"
    if status:
        yield f"Mend what FAILs above; then: localctl check{named}"
    if not service.installed or not service.booted or named:
        yield f"Run the daemon: localctl run{named}"
    else:
        yield from _units(service, low=low)
    yield f"See how it is: localctl status{named}"


def _units(service: Service, *, low: bool) -> Iterator[str]:
    """The socket unit takes all of its ports: it is to be there only where one below 1024 is needed."""
    wanted = low and service.socket
    if service.enabled and not wanted:
        yield "Leave the ports below 1024 to other programs: systemctl disable --now localctl.socket"
    if not service.active:
        yield f"Start the daemon, now and at each boot: systemctl enable --now {'localctl.socket ' * wanted}localctl"
        return
    if wanted and not service.enabled:
        yield "Have systemd open the ports below 1024: systemctl enable localctl.socket"
    yield "Have the daemon take it up: systemctl restart localctl"
