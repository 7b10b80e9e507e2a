"""The daemon's status as a picture for a terminal: colours, tables, a bar for whatever is under way. Rules, with rich.

Every name in it comes from a peer: it is text, never markup, and without control codes.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from localctl.inquiry import EVENTS, Document, amount, event, link, some, until
from localctl.saying import age, counted, printable, size

_BAR: Final = 16
_NAME: Final = 24
_STATE: Final = 11
_FEW_FILES: Final = 4
_FULL: Final = 0.9
_SOON_SECONDS: Final = 30 * 86400
_STATES: Final = {
    "published": "green", "downloading": "cyan", "verified": "cyan", "paused": "yellow", "scheduled": "yellow",
}  # fmt: skip
_LEVELS: Final = {"warning": "yellow", "error": "red", "critical": "bold red"}


def draw(status: Document, now: float, *, everyone: bool) -> RenderableType:
    """The whole status; ``now`` is Unix seconds. Without ``everyone`` only some of many stations."""
    return Group(
        *_head(status, now),
        *_firmware(status["firmware"]),
        *_transfers(status["transfers"], now),
        *_stations(status["stations"], now, everyone=everyone),
        *_events(status.get("events", ())),
    )


def absent(words: str) -> RenderableType:
    """That nobody answers, and what is done about it."""
    return Text.assemble(("● ", "red"), printable(words))


def _head(status: Document, now: float) -> Iterator[RenderableType]:
    ready = ("● ready", "bold green") if status["ready"] else ("● NOT ready", "bold red")
    yield Text.assemble((printable(status["identity"]), "bold"), "  ", ready, f"  localctl {status['version']}")
    yield from (Text(f"  {printable(reason)}", "red") for reason in status["reasons"])
    table = _table()
    uplink = status["uplink"]
    words = Text(printable(link(uplink, now)), "green" if uplink["connected"] else "red")
    table.add_row("CSMS", Text(printable(uplink["url"])), words)
    if uplink["queue"]:
        table.add_row("", "", Text(counted(uplink["queue"], "notification waits", "notifications wait"), "yellow"))
    for name, address in status["listeners"].items():
        table.add_row("listener", Text(printable(address)), Text(printable(name)))
    table.add_row(
        "disk", _disk(status["disk"]), f"{size(status['disk']['free'])} free of {size(status['disk']['size'])}"
    )
    for shown in status.get("certificates", ()):
        ends = shown.get("expires_at")
        style = "" if ends is None or ends > now + _SOON_SECONDS else "yellow" if ends > now else "red"
        table.add_row("certificate", Text(printable(shown.get("role", "?"))), Text(until(ends, now), style))
    yield table
    if fault := status.get("configuration", {}).get("reload_error"):
        yield Text(f"  the configuration was not taken anew: {printable(fault)}", "red")


def _firmware(files: list[Document]) -> Iterator[RenderableType]:
    """Each with its MD5 and URIs below it; of many the URIs are left out."""
    yield from _title("firmware", len(files))
    few = len(files) <= _FEW_FILES
    for file in files:
        table = _table()
        for width in (_NAME, _STATE, _BAR):
            table.add_column(width=width, no_wrap=True)
        state = Text(file["state"], _STATES.get(file["state"], ""))
        bar = "" if "size" in file else _bar(file["received"], file["total"])
        table.add_row("", Text(printable(file["name"])), state, bar, amount(file))
        yield table
        yield Text(f"    {file['checksum']}", "dim")
        for uri in file.get("uris", ()) if few else ():
            yield Text(f"    {printable(uri)}", "dim", overflow="fold")


def _transfers(transfers: list[Document], now: float) -> Iterator[RenderableType]:
    yield from _title("transfers", len(transfers))
    table = _table()
    for transfer in transfers:
        done = f"{size(transfer['sent'])} of {size(transfer['size'])}{_rate(transfer, now)}"
        whose = (Text(printable(transfer["peer"])), Text(printable(transfer["name"])))
        table.add_row("", *whose, transfer["protocol"], _bar(transfer["sent"], transfer["size"]), done)
    if transfers:
        yield table


def _rate(transfer: Document, now: float) -> str:
    """Its mean rate so far; nothing where it has just begun."""
    seconds = now - transfer.get("started_at", now)
    return f", {size(transfer['sent'] / seconds)}/s" if seconds >= 1 else ""


def _stations(stations: list[Document], now: float, *, everyone: bool) -> Iterator[RenderableType]:
    versions = Counter(station["ocpp_version"] or "?" for station in stations)
    told = ", ".join(f"{count} on OCPP {version}" for version, count in sorted(versions.items()))
    head, left_out, tail = some(stations, everyone=everyone)
    yield from _title("stations", len(stations), told + (" (--all tells of each)" if left_out else ""))
    table = _table()
    for station in head:
        _add(table, station, now)
    if left_out:
        table.add_row("", Text(f"… {left_out} more", "dim"))
    for station in tail:
        _add(table, station, now)
    if stations:
        yield table


def _add(table: Table, station: Document, now: float) -> None:
    spoke = station["last_message_at"]
    table.add_row(
        "",
        Text(printable(station["identity"])),
        f"OCPP {station['ocpp_version'] or '?'}",
        Text(printable(station["peer"])),
        f"here for {age(station.get('since'), now)}",
        Text(f"spoke {age(spoke, now)} ago" if spoke else "no message yet", "" if spoke else "dim"),
    )


def _events(events: list[Document] | tuple[()]) -> Iterator[RenderableType]:
    if events:
        yield from _title("events", len(events))
    for told in events[-EVENTS:]:
        yield Text(f"  {printable(event(told))}", _LEVELS.get(str(told.get("level", "")).lower(), ""))


def _title(name: str, count: int, more: str = "") -> Iterator[RenderableType]:
    yield Text()
    yield Text.assemble((name, "bold"), f"  {count}", (f"  {more}" if more else "", "dim"))


def _table() -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(min_width=2)
    return table


def _bar(done: float, total: float | None, style: str = "cyan") -> RenderableType:
    """None where nobody knows how much it will be."""
    if not total:
        return ""
    return ProgressBar(total=total, completed=done, width=_BAR, complete_style=style, finished_style="green")


def _disk(disk: Document) -> RenderableType:
    used = disk["size"] - disk["free"]
    return _bar(used, disk["size"], "yellow" if used > _FULL * disk["size"] else "blue")
