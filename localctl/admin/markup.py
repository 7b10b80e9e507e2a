"""Values of the status document as HTML. Rules: no I/O.

Identities, names and log lines are a peer's words: whatever becomes HTML comes through ``text``.
"""

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from typing import Final

from localctl.saying import size

_LAST_MOMENT: Final = 253402300799  # of the year 9999


def text(words: object) -> str:
    """Somebody's words, which can become no markup and do not turn what stands beside them."""
    return f"<bdi>{escape(str(words))}</bdi>"


def moment(at: float | None, kind: str = "at") -> str:
    """Unix seconds, in UTC where nobody makes it the reader's own time.

    ``kind`` is ``ago`` where the page may say how long ago that was, ``day`` where only the day matters.
    """
    if at is None or not math.isfinite(at) or not 0 <= at <= _LAST_MOMENT:
        return "unknown"
    day, clock = datetime.fromtimestamp(at, UTC).isoformat(" ")[:19].split(" ")
    told = day if kind == "day" else f"{day} {clock} UTC"
    return f'<time class="{kind}" datetime="{day}T{clock}Z">{told}</time>'


def badge(tone: str, word: str) -> str:
    """A state: its word, in the colour of ``tone`` (good, busy, warn, bad, calm)."""
    return f'<span class="badge {tone}">{escape(word)}</span>'


def progress(done: int, total: int | None, label: str) -> str:
    """A bar, and what it means in words; ``label`` says of what, for who cannot see it."""
    if not total:
        bar = f'<progress aria-label="{escape(label)}"></progress>'
        return f'<div class="progress">{bar}<span>{size(done)}, of an unknown size</span></div>'
    share = min(100, done * 100 // total)
    bar = f'<progress max="100" value="{share}" aria-label="{escape(label)}">{share} %</progress>'
    return f'<div class="progress">{bar}<span>{share} % · {size(done)} of {size(total)}</span></div>'


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names, and HTML behind each; where that is empty the name is left out."""
    rows = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in pairs if value)
    return f"<dl>{rows}</dl>"


def heading(title: str, count: int | None = None) -> str:
    """A section's, with how many things are in it."""
    counted = "" if count is None else f' <span class="count">{count}</span>'
    return f"<h2>{title}{counted}</h2>"


def items(rows: Iterable[str], nothing: str) -> str:
    """A list of HTML, or what is said in its place."""
    made = "".join(f"<li>{row}</li>" for row in rows)
    return f'<ul class="items">{made}</ul>' if made else f'<p class="none">{nothing}</p>'
