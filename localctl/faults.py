"""What is wrong with a configuration, in words for the person who wrote it. Rules: no I/O.

pydantic says where and of what kind; the field's description says what is allowed. A line never holds a secret, the
user of a URL or its query, nor a character that would break the line.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

_WORDS: Final[Mapping[str, str]] = {
    "string_type": "is not text in quotes",
    "string_too_short": "is too short",
    "string_too_long": "is too long",
    "int_type": "is not a whole number",
    "int_from_float": "is not a whole number",
    "float_type": "is not a number",
    "finite_number": "is not a number",
    "greater_than": "is too small",
    "greater_than_equal": "is too small",
    "bool_type": "is neither true nor false",
    "tuple_type": "is not a list in square brackets",
    "too_short": "is an empty list",
}
_BARE: Final = frozenset({"int_type", "float_type", "bool_type"})
_PLACE: Final = re.compile(
    r"^(?P<what>.*?)(?: \((?:at line (?P<line>\d+), column (?P<column>\d+)|at end of document)\))?$", re.DOTALL
)
_SYNTAX: Final = (  # what stands in tomllib's message, or else in the line, and what to do about it
    ("twice", "", "each [section] once"),
    ("overwrite", "", "each key once in its section"),
    ("\\n", "", "text that ends in its quote, on the same line"),
    ("", "\ufeff", "UTF-8 without a byte order mark (see the editor's save dialogue)"),
    ("", "“", 'straight double quotes around text: "'),
    ("", "”", 'straight double quotes around text: "'),
    ("", "\\", r"a backslash only as \\, or text in single quotes"),
    ("", "", "KEY = VALUE, with text in double quotes, numbers, true and false without"),
)
_SHOWN: Final = 100  # characters of a value
_BEGUN: Final = re.compile(r"""\s*(?:\[\s*(?P<section>[^]\[]+)]|(?P<key>[\w.\-"' ]+)=)""")  # by a line of TOML


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a fault lies: the dotted key, its field (None for a section or an unknown key), the section there."""

    key: str
    field: FieldInfo | None
    section: type[BaseModel]


def sentences(fault: ValidationError, model: type[BaseModel], tree: Mapping[str, Any]) -> Iterator[str]:
    """Each fault of ``fault`` as ``section.key: what is wrong; allowed: what is allowed``."""
    seen: set[str] = set()
    for error in fault.errors(include_url=False, include_input=False):
        loc = tuple(error["loc"])
        place = _locate(model, loc)
        if error["type"] == "too_short" and place.key in seen:
            continue  # the list is short because its faulty items were left out of it
        seen.add(place.key)
        if error["type"] == "extra_forbidden":
            yield _unknown(place, model)
        else:
            yield _sentence(error["type"], error["msg"].removeprefix("Value error, "), place, _value(tree, loc))


def syntax_sentence(message: str, text: str) -> str:
    """A fault of TOML's grammar as ``line L, column C: what is wrong; allowed: what is allowed``.

    ``message`` is tomllib's, ``text`` the whole file.
    """
    found = _PLACE.match(message)
    if found is None or found["line"] is None:
        place, line = "", (text.splitlines() or [""])[-1]
    else:
        place = f"line {found['line']}, column {found['column']}: "
        line = text.split("\n")[int(found["line"]) - 1]
    what = found["what"] if found else message
    allowed = next(advice for sign, mark, advice in _SYNTAX if sign in what and mark in line)
    return f"{place}is not TOML: {_escaped(what)}; allowed: {allowed}"


def placed(fault: str, name: str, text: str) -> str:
    """``fault``, a line about the file ``name``, with the number of its key's line in ``text`` where that is found:
    ``FILE: line L: section.key: what is wrong; allowed: what is allowed``.
    """
    sentence = fault.removeprefix(f"{name}: ")
    number = line_of(sentence.partition(": ")[0], text)
    return f"{name}: line {number}: {sentence}" if number else f"{name}: {sentence}"


def line_of(key: str, text: str) -> int | None:
    """The line (from 1) on which the dotted ``key`` stands in a TOML file, or else the innermost section or table that
    it belongs to; None where none of it is there.
    """
    section, found, length = "", None, 0
    for number, line in enumerate(text.split("\n"), 1):
        begun = _BEGUN.match(line)
        if begun is None:
            continue
        if begun["section"]:
            section = here = _dotted(begun["section"])
        else:
            here = f"{section}.{_dotted(begun['key'])}".removeprefix(".")
        if len(here) > length and f"{key}.".startswith(f"{here}."):
            found, length = number, len(here)
    return found


def _dotted(key: str) -> str:
    return ".".join(part.strip(" \t\"'") for part in key.split("."))


def _sentence(kind: str, message: str, place: _Place, value: object) -> str:
    if place.field is None:  # a section: missing, of the wrong kind, or with a check of its own that names its key
        if kind == "value_error":
            return f"{place.key}.{message}".removeprefix(".")
        required = [key for key, field in place.section.model_fields.items() if field.is_required()]
        what = "is missing" if kind == "missing" else "is not a section"
        return f"{place.key}: {what}; allowed: [{place.key}] with {', '.join(required or place.section.model_fields)}"
    allowed = place.field.description
    if kind == "missing":
        return f"{place.key}: is missing; allowed: {allowed}"
    if kind != "value_error":
        message = _WORDS.get(kind, "is not allowed")
        if kind in _BARE and isinstance(value, str):
            message += " (it stands in quotes)"
    shown = "the value" if place.field.annotation is SecretStr else _shown(value)
    return f"{place.key}: {shown} {message}; allowed: {allowed}"


def _unknown(place: _Place, model: type[BaseModel]) -> str:
    """An unknown key, with the one that was probably meant: here, in another section, or one that looks alike."""
    section, dot, name = place.key.rpartition(".")
    name = name.lower().replace("-", "_")
    here = [f"{section}{dot}{key}" for key in place.section.model_fields if key == name]
    below = list(_owners(place.section, name, f"{section}{dot}"))
    import difflib  # only a faulty file needs it

    alike = difflib.get_close_matches(name, place.section.model_fields, n=1)
    meant = here or below or list(_owners(model, name)) or [f"{section}{dot}{key}" for key in alike]
    guess = f" (did you mean {' or '.join(meant)}?)" if meant else ""
    return f"{place.key}: is not a known key{guess}; allowed: {', '.join(place.section.model_fields)}"


def _owners(model: type[BaseModel], name: str, prefix: str = "") -> Iterator[str]:
    """Every dotted key of the configuration that ends in ``name``."""
    for key, field in model.model_fields.items():
        if key == name:
            yield f"{prefix}{key}"
        inner = _section(field)
        if inner is not None:
            yield from _owners(inner, name, f"{prefix}{key}.")


def _locate(model: type[BaseModel], loc: tuple[int | str, ...]) -> _Place:
    """Walk from the whole configuration down to what ``loc`` names."""
    path: list[str] = []
    field: FieldInfo | None = None
    for part in loc:
        name = str(part)
        if name not in model.model_fields:
            if field is None:
                path.append(_escaped(name))
            break
        path.append(name)
        field = model.model_fields[name]
        inner = _section(field)
        if inner is not None:
            model, field = inner, None
    return _Place(".".join(path), field, model)


def _section(field: FieldInfo) -> type[BaseModel] | None:
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _value(tree: Mapping[str, Any], loc: tuple[int | str, ...]) -> object:
    value: Any = tree
    for part in loc:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            break
    return value


def _shown(value: object) -> str:
    """A value as the file has it, cut short, without what may be secret in a URL: its user and its query."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(_shown(item) for item in value)}]"
    if not isinstance(value, str | int | float):
        return "the value"
    text = re.sub(r"([?#]).*", r"\1…", re.sub(r"^(\w+://)?.*@", r"\1…@", str(value), flags=re.DOTALL), flags=re.DOTALL)
    text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return f'"{_escaped(text)}"' if isinstance(value, str) else text


def _escaped(text: str) -> str:
    """Text on one line, whatever it holds."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
