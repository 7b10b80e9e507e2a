"""A configuration as it may be shown: its structure, and of its values those that are known to be no secret. Rules.

Comments are left out: they may hold anything. So is the value of each key that this version does not know, and of one
that should name a file and does not. A file that is no TOML is gone through by line, more strictly still.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from localctl.bundle.secrets import REMOVED, Redactor, is_path, is_secret
from localctl.sections import Config

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_HEADER: Final = re.compile(r"\s*\[\s*([a-z_.]+)\s*\]\s*(?:#.*)?")
_ENTRY: Final = re.compile(r"\s*(?P<key>[A-Za-z0-9_-]+)\s*=\s*(?P<value>.*)")
_PLAIN: Final = re.compile(r"(?P<value>\"[^\"\\]*\"|[0-9._]+|true|false)\s*(?:#.*)?")


def redacted(text: str, redactor: Redactor) -> str:
    """The configuration as TOML; by pattern, and perhaps no TOML, where it is none."""
    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError):
        return redactor.text("\n".join(_by_line(text)) + "\n")
    return redactor.text("\n".join(_section(tree, Config, "")) + "\n")


def _section(tree: Mapping[str, Any], model: type[BaseModel], name: str) -> Iterator[str]:
    """The lines of a section, and of those within it."""
    inner: list[tuple[str, Mapping[str, Any], type[BaseModel]]] = []
    for key, value in tree.items():
        field = model.model_fields.get(key)
        within = _model(field)
        if within is not None and isinstance(value, Mapping):
            inner.append((f"{name}.{key}".removeprefix("."), value, within))
        else:
            shown = _value(value) if field is not None and _is_plain(key, field, value) else json.dumps(REMOVED)
            yield f"{_key(key)} = {shown}"
    for header, value, within in inner:
        yield f"\n[{header}]"
        yield from _section(value, within, header)


def _is_plain(key: str, field: FieldInfo, value: object) -> bool:
    """Whether the value may be shown: no secret, and of the kind that the key is for."""
    if field.annotation is SecretStr or is_secret(key) or _model(field) is not None:
        return False
    if key.endswith("_file"):
        return isinstance(value, str) and (not value or is_path(value))
    return not isinstance(value, Mapping) or "dict" in str(field.annotation)


def _model(field: FieldInfo | None) -> type[BaseModel] | None:
    kinds = () if field is None else (field.annotation, *get_args(field.annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(_value(item) for item in value)}]"
    return json.dumps(value if isinstance(value, bool | int | float | str) else str(value), ensure_ascii=False)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _by_line(text: str) -> Iterator[str]:
    """Sections and their keys that are known, with values that are simple; of other lines only that they are there."""
    sections = dict(_sections(Config, ""))
    model: type[BaseModel] | None = None
    for line in text.splitlines():
        header, entry = _HEADER.fullmatch(line), _ENTRY.fullmatch(line)
        if line.lstrip().startswith("["):
            model = sections.get(header[1]) if header else None
            yield f"[{header[1]}]" if header and model else f"# {REMOVED}"
        elif entry and model and entry["key"] in model.model_fields:
            yield f"{entry['key']} = {_simple(entry['key'], entry['value'])}"
        else:
            yield f"# {REMOVED}" if line.strip() else ""


def _simple(key: str, value: str) -> str:
    """A value that is text on one line, a number or a truth, and no secret."""
    plain = _PLAIN.fullmatch(value)
    if plain is None or is_secret(key):
        return REMOVED
    if key.endswith("_file") and not is_path(plain["value"]):
        return REMOVED
    return plain["value"]


def _sections(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, type[BaseModel]]]:
    for key, field in model.model_fields.items():
        within = _model(field)
        if within is not None:
            yield f"{prefix}{key}", within
            yield from _sections(within, f"{prefix}{key}.")
