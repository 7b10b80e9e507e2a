"""What of a broken configuration still tells where the daemon is: its state directory and admin address. Rules."""

import tomllib
from collections.abc import Mapping
from typing import Any, Final

from localctl.config import parse
from localctl.errors import ConfigurationError
from localctl.sections import Config

_NEEDED: Final = {"controller": {"identity": "unknown"}, "csms": {"url": "ws://unknown"}}
_TELLING: Final = {"controller": ("identity", "state_dir"), "admin": ()}  # (): all of its keys


def salvaged(text: str) -> Config:
    """A configuration with as much as can be read; defaults for the rest."""
    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError):
        tree = {}
    config: dict[str, Any] = {name: dict(keys) for name, keys in _NEEDED.items()}
    for section, keys in _TELLING.items():
        found = tree.get(section)
        if not keys and _parsed(whole := {**config, section: found}) is not None:
            config = whole
            continue
        for key, value in found.items() if isinstance(found, Mapping) else ():
            grown = {**config, section: {**config.get(section, {}), key: value}}
            if (not keys or key in keys) and _parsed(grown) is not None:
                config = grown
    return _parsed(config) or parse(_NEEDED, "", None)


def _parsed(tree: Mapping[str, Any]) -> Config | None:
    try:
        return parse(tree, "", None)
    except ConfigurationError:
        return None
