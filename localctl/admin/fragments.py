"""The status document as the sections of the status page: HTML, by the ids of the page's elements. Rules: no I/O.

What stands here is the page's only source: it is served with what is made here, and is sent it again where it changes.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from localctl.admin.markup import badge, facts, heading, items, moment, progress, text
from localctl.admin.stream import STATIONS, Document, Form, event
from localctl.saying import counted, size

MOST_TRANSFERS: Final = 100  # that are shown: they change every second, and nobody reads more
MANY: Final = 50  # stations; more are folded, as all else stands below them on a phone
_DAY: Final = 86400
_SOON_DAYS: Final = 30  # as localctl check has it
_STATES: Final = {
    "published": ("good", "Published"),
    "scheduled": ("calm", "Scheduled"),
    "downloading": ("busy", "Downloading"),
    "paused": ("warn", "Paused"),
    "verified": ("busy", "Verified"),
}
_LEVELS: Final = {"info": "calm", "warning": "warn", "error": "bad", "critical": "bad"}
_COLUMNS: Final = ("Station", "OCPP", "Address", "Connected", "Last message")


def row(station: Document) -> str:
    """One station, as a row of the table."""
    spoke = moment(station["last_message_at"], "ago") if station["last_message_at"] else "none yet"
    cells = (
        text(station["identity"]),
        text(station["ocpp_version"] or "?"),
        text(station["peer"]),
        moment(station["since"], "ago"),
        spoke,
    )
    first, *others = (f'data-label="{name}">{cell}' for name, cell in zip(_COLUMNS, cells, strict=True))
    return f'<tr><th scope="row" {first}</th>{"".join(f"<td {other}</td>" for other in others)}</tr>'


def table(rows: Sequence[str]) -> str:
    """All stations."""
    head = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
    made = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    if len(rows) > MANY:
        made = f'<details id="all-stations"><summary>Show all</summary>{made}</details>'
    return heading("Stations", len(rows)) + (made if rows else '<p class="none">No station is connected.</p>')


def sections(document: Document, now: float) -> Mapping[str, str]:
    """Every section but the stations; ``now`` is Unix seconds."""
    return {
        "version": escape(document["version"]),
        "title": _title(document),
        "state": _state(document),
        "uplink": _uplink(document["uplink"]),
        "disk": _disk(document["disk"]),
        "firmware": _firmware(document["firmware"]),
        "transfers": _transfers(document["transfers"]),
        "certificates": _certificates(document["certificates"], now),
        "listeners": _listeners(document["listeners"]),
        "events": _events(document["events"]),
    }


def message(parts: Mapping[str, str], _: bool) -> bytes:  # noqa: FBT001  as Form has it
    """An event a section, named as it."""
    return b"".join(event(name, part) for name, part in parts.items())


def _title(document: Document) -> str:
    mark = "" if document["ready"] else "Not ready: "
    return f"{mark}{escape(document['identity'])} · localctl"


def _state(document: Document) -> str:
    ready = badge("good", "Ready") if document["ready"] else badge("bad", "Not ready")
    why = "".join(f"<li>{text(reason)}</li>" for reason in document["reasons"])
    told = f'<ul class="reasons">{why}</ul>' if why else ""
    return f"<h1>{text(document['identity'])}</h1><p>{ready} localctl {escape(document['version'])}</p>{told}"


def _uplink(uplink: Document) -> str:
    connected = uplink["connected"]
    accepted = uplink["registration"] == "Accepted"
    tone, word = ("good" if accepted else "warn", "Connected") if connected else ("bad", "Not connected")
    pairs = (
        ("State", badge(tone, word)),
        ("Address", text(uplink["url"])),
        ("OCPP", text(uplink["ocpp_version"]) if connected else ""),
        ("Registration", text(uplink["registration"] or "not answered yet")),
        ("Since", moment(uplink["since"], "ago") if connected else ""),
        ("Last heard of", moment(uplink["last_seen"], "ago") if uplink["last_seen"] else "never"),
        ("Waiting for it", counted(uplink["queue"], "notification", "notifications") if uplink["queue"] else ""),
        ("Last failure", "" if connected or not uplink["last_error"] else text(uplink["last_error"])),
    )
    return heading("CSMS") + facts(pairs)


def _disk(disk: Document) -> str:
    free, whole = disk["free"], disk["size"]
    if not whole:
        return heading("Disk") + '<p class="none">It has not been looked at yet.</p>'
    used = (whole - free) * 100 // whole
    bar = f'<progress max="100" value="{used}" aria-label="Disk in use">{used} %</progress>'
    told = f'<div class="progress">{bar}<span>{used} % in use</span></div>'
    return heading("Disk") + told + facts((("Free", size(free)), ("Size", size(whole))))


def _firmware(files: Sequence[Document]) -> str:
    under_way = [file for file in files if file["state"] != "published"]
    there = [file for file in files if file["state"] == "published"]
    rows = [_coming(file) for file in under_way] + [_published(file) for file in there]
    return heading("Firmware", len(rows)) + items(rows, "Nothing is published, and nothing is on its way.")


def _coming(file: Document) -> str:
    tone, word = _STATES.get(file["state"], ("calm", file["state"]))
    tries = (
        f'<p class="note">{counted(file["failures"], "failed try", "failed tries")} so far</p>'
        if file["failures"]
        else ""
    )
    bar = progress(file["received"], file["total"], f"Download of {file['name']}")
    return f"{_named(file['name'], badge(tone, word))}{bar}{tries}{_checksum(file)}"


def _published(file: Document) -> str:
    addresses = "".join(f"<li>{text(uri)}</li>" for uri in file["uris"])
    more = f'<details id="uris-{escape(file["checksum"])}"><summary>Addresses</summary><ul>{addresses}</ul></details>'
    note = f'<p class="note">{size(file["size"])}, published {moment(file["published_at"], "ago")}</p>'
    return f"{_named(file['name'], badge(*_STATES['published']))}{note}{_checksum(file)}{more}"


def _named(name: str, mark: str) -> str:
    return f"<p><strong>{text(name)}</strong> {mark}</p>"


def _checksum(file: Document) -> str:
    return f'<p class="note">MD5 <code>{escape(file["checksum"])}</code></p>'


def _transfers(transfers: Sequence[Document]) -> str:
    rows = [_transfer(each) for each in transfers[:MOST_TRANSFERS]]
    more = len(transfers) - len(rows)
    rest = f'<p class="note">and {more} more, which began later</p>' if more else ""
    return heading("Downloads by stations", len(transfers)) + items(rows, "No station downloads anything now.") + rest


def _transfer(each: Document) -> str:
    who = each["station"] or each["peer"]
    bar = progress(each["sent"], each["size"], f"{who} downloads {each['name']}")
    from_where = f"{text(each['peer'])}, " if each["station"] else ""
    note = f'<p class="note">{from_where}began {moment(each["started_at"], "ago")}</p>'
    return (
        f"<p><strong>{text(who)}</strong> {text(each['name'])} {badge('calm', each['protocol'].upper())}</p>{bar}{note}"
    )


def _certificates(certificates: Sequence[Document], now: float) -> str:
    rows = [_certificate(each, now) for each in certificates]
    return heading("Certificates", len(rows)) + items(rows, "No certificate of ours is in use.")


def _certificate(each: Document, now: float) -> str:
    ends = each["expires_at"]
    if ends is None:
        mark, until = badge("warn", "End unknown"), ""
    else:
        days = int((ends - now) // _DAY)
        mark = badge("bad", "Expired") if ends <= now else badge("good", "Valid")
        if 0 <= days < _SOON_DAYS and ends > now:
            mark = badge("warn", "Ends today" if days == 0 else f"{days} days left")
        until = f"until {moment(ends, 'day')}, "
    name = text(each["name"] or "no name")
    note = f'<p class="note">{until}{text(each["path"])}</p>'
    return f"<p><strong>{text(each['role'])}</strong> {name} {mark}</p>{note}"


def _listeners(listeners: Document) -> str:
    return heading("Listening on") + facts((escape(name), text(place)) for name, place in listeners.items())


def _events(events: Sequence[Document]) -> str:
    rows = [
        f"{moment(each['at'])} {badge(_LEVELS.get(each['level'], 'calm'), each['level'])} {text(each['text'])}"
        for each in reversed(events)
    ]
    return heading("Last events") + items(rows, "Nothing has been logged yet.")


HTML: Final = Form(sections, row, table, message)
__all__ = ["HTML", "STATIONS", "sections"]
