"""A configuration as TOML: the standard library only reads it."""

import json
from collections.abc import Mapping
from typing import Any


def dumped(tree: Mapping[str, Any], prefix: str = "") -> str:
    """``tree`` as a TOML document; values are text, numbers, booleans, lists of them, and sections."""
    sections = {key: value for key, value in tree.items() if isinstance(value, Mapping)}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in tree.items() if key not in sections]
    for key, value in sections.items():
        lines += [f"[{prefix}{key}]", dumped(value, f"{prefix}{key}.")]
    return "\n".join(lines)
