"""How amounts, spans and what others have named are said to a person. Rules."""

from typing import Final

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


def size(count: float) -> str:
    """Bytes."""
    for unit in _UNITS:
        if count < 1024 or unit == _UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return ""


def counted(number: int, one: str, many: str) -> str:
    """So many of them."""
    return f"{number} {one if number == 1 else many}"


def age(since: float | None, now: float) -> str:
    """The time between two moments in Unix seconds; ``?`` where the first is not known."""
    if since is None:
        return "?"
    minutes, seconds = divmod(int(max(0, now - since)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if days else f"{hours:02}:{minutes:02}:{seconds:02}"


def printable(text: object) -> str:
    """What a peer has named, fit for a terminal: a control code of it would draw there, or erase."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(text))
