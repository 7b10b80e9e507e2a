"""Server-sent events (HTML, 9.2): what is told as what, and the status document as JSON. Rules: no I/O.

A form is a way to tell the status: ``parts`` by name, of which listeners are sent those that have changed. The stations
are a part of their own made of rows, since there may be a thousand of them.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Document = dict[str, Any]  # the JSON boundary

STATIONS: Final = "stations"
RETRY: Final = b"retry: 3000\n\n"  # milliseconds until a browser comes back
ALIVE: Final = b": still here\n\n"
_LINE_END: Final = re.compile(r"\r\n|\n|\r")  # the same three for which a browser ends a line


@dataclass(frozen=True, slots=True)
class Form:
    """``parts`` makes all but the stations of the document without them, at a time (Unix seconds); ``row`` makes one
    station; ``table`` all of their rows. ``message`` tells parts, the second argument whether they are all.
    """

    parts: Callable[[Document, float], Mapping[str, str]]
    row: Callable[[Document], str]
    table: Callable[[Sequence[str]], str]
    message: Callable[[Mapping[str, str], bool], bytes]


def event(name: str, text: str) -> bytes:
    """One event; the text may have several lines."""
    if "\n" in text or "\r" in text:
        text = "\ndata: ".join(_LINE_END.split(text))
    return f"event: {name}\ndata: {text}\n\n".encode("utf-8", "replace")


def as_object(parts: Mapping[str, str]) -> str:
    """A JSON object whose values are JSON already."""
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in parts.items()) + "}"


def _parts(document: Document, _: float) -> Mapping[str, str]:
    return {name: json.dumps(value) for name, value in document.items() if name != STATIONS}


def _message(parts: Mapping[str, str], whole: bool) -> bytes:  # noqa: FBT001  as Form has it
    """``status`` with the whole document, then ``change`` with the values of the keys that have changed."""
    return event("status" if whole else "change", as_object(parts))


JSON: Final = Form(_parts, json.dumps, lambda rows: f"[{','.join(rows)}]", _message)
