"""What is wrong with a configuration, in words for the person who wrote it. Rules: no I/O.

pydantic says where and of what kind; the field's description says what is allowed; a secret's value is never repeated.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a fault lies: the dotted key, its field (None for a section or an unknown key), the section's keys."""

    key: str
    field: FieldInfo | None
    known: tuple[str, ...]


def sentences(fault: ValidationError, model: type[BaseModel], tree: Mapping[str, Any]) -> Iterator[str]:
    """Each fault of ``fault`` as ``section.key: what is wrong; allowed: what is allowed``."""
    seen: set[str] = set()
    for error in fault.errors(include_url=False, include_input=False):
        loc = tuple(error["loc"])
        line = _sentence(error["type"], error["msg"], _locate(model, loc), _value(tree, loc))
        if line not in seen:
            seen.add(line)
            yield line


def _sentence(kind: str, message: str, place: _Place, value: object) -> str:
    message = message.removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return f"{place.key}: is not a known key{_guess(place)}; allowed: {', '.join(place.known)}"
    if place.field is None:  # a section: missing, of the wrong kind, or with a check of its own that names its key
        if kind == "value_error":
            return f"{place.key}.{message}"
        what = "is missing" if kind == "missing" else "is not a section"
        return f"{place.key}: {what}; allowed: [{place.key}] with {', '.join(place.known)}"
    allowed = place.field.description
    if kind == "missing":
        return f"{place.key}: is missing; allowed: {allowed}"
    if kind != "value_error":
        message = "is not allowed"
    shown = "the value" if _is_secret(place.field) else _shown(value)
    return f"{place.key}: {shown} {message}; allowed: {allowed}"


def _locate(model: type[BaseModel], loc: tuple[int | str, ...]) -> _Place:
    """Walk from the whole configuration down to what ``loc`` names."""
    path: list[str] = []
    field: FieldInfo | None = None
    for part in loc:
        name = str(part)
        if name not in model.model_fields:
            if field is None:
                path.append(name)
            break
        path.append(name)
        field = model.model_fields[name]
        inner = _section(field)
        if inner is not None:
            model, field = inner, None
    return _Place(".".join(path), field, tuple(model.model_fields))


def _section(field: FieldInfo) -> type[BaseModel] | None:
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _is_secret(field: FieldInfo) -> bool:
    return field.annotation is SecretStr


def _value(tree: Mapping[str, Any], loc: tuple[int | str, ...]) -> object:
    value: Any = tree
    for part in loc:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            break
    return value


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 100 else f'"{value[:100]}…"'
    return str(value) if isinstance(value, int | float) else "the value"


def _guess(place: _Place) -> str:
    close = difflib.get_close_matches(place.key.rpartition(".")[2], place.known, n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""
