"""An outcome written into a configuration file: its comments, its order and its other keys stay. Rules: no I/O.

A section that stands in the file as a comment, as [stations.wss] in the example, is brought to life where it is; one
that is not wanted becomes a comment again.
"""

import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final

import tomlkit
from tomlkit.exceptions import TOMLKitError

from localctl.setup.outcome import Outcome, applied
from localctl.setup.place import at

_KEY: Final = re.compile(r"(?P<mark># )?(?P<key>[A-Za-z0-9_-]+) = ")


class Unwritable(ValueError):
    """The file is written in a way that cannot be changed without harm."""


def rewritten(text: str, made: Outcome) -> str:
    """The file's text with the outcome in it. Raises Unwritable."""
    before = tomllib.loads(text)
    made = _needed(before, made)
    for section in made.closed:
        text = _closed(text, section)
    for section in dict.fromkeys(key.rpartition(".")[0] for key in made.values):
        if at(before, section) is None:
            text = _opened(text, section, made)
    try:
        document = tomlkit.parse(text)
        _fill(document, made)
        result = tomlkit.dumps(document)
        if tomllib.loads(result) != applied(before, made):
            raise Unwritable
    except (TOMLKitError, tomllib.TOMLDecodeError, TypeError, AttributeError, KeyError) as fault:
        raise Unwritable from fault
    return result


def _needed(before: Mapping[str, Any], made: Outcome) -> Outcome:
    """What changes something: an empty text says no more than no text."""
    values = {key: value for key, value in made.values.items() if (at(before, key) or "") != value}
    return Outcome(values, tuple(section for section in made.closed if at(before, section) is not None))


def _fill(document: tomlkit.TOMLDocument, made: Outcome) -> None:
    """Take out what is still there of closed sections, and put in each value."""
    for section in made.closed:
        parent, _, name = section.rpartition(".")
        if name in (holder := at(document, parent)):
            del holder[name]
    for key, value in made.values.items():
        *path, name = key.split(".")
        table: Any = document  # tomlkit has a type of its own for each way in which a table can be written
        for depth, part in enumerate(path):
            if part not in table:
                table[part] = tomlkit.table(is_super_table=depth < len(path) - 1)
            table = table[part]
        table[name] = value


def _closed(text: str, section: str) -> str:
    """The text with that section as a comment; as it was where this does not do it."""
    lines, inside = [], False
    for line in text.splitlines(keepends=True):
        if line.startswith("["):
            inside = _is_header(line, f"[{section}]")
        comment = inside and (line.startswith("[") or _KEY.match(line))
        lines.append(f"# {line}" if comment else line)
    return _sound("".join(lines), text)


def _opened(text: str, section: str, made: Outcome) -> str:
    """The text with that section's comment brought to life, with those of its keys that get a value."""
    lines, inside = [], False
    for line in text.splitlines(keepends=True):
        begins = _is_header(line, f"# [{section}]")
        inside = (inside or begins) and line.startswith("#")
        found = _KEY.match(line)
        wanted = begins or (found is not None and f"{section}.{found['key']}" in made.values)
        lines.append(line.removeprefix("# ") if inside and wanted else line)
    return _sound("".join(lines), text)


def _is_header(line: str, header: str) -> bool:
    return line.partition("]")[0] + "]" == header


def _sound(changed: str, text: str) -> str:
    """What was changed, if it is still TOML."""
    try:
        tomllib.loads(changed)
    except tomllib.TOMLDecodeError:
        return text
    return changed
