"""The dashboards of Grafana, and what they ask."""

import json
from collections.abc import Iterator
from typing import Any, Final

from tests.watching.series import DEPLOY

BOARDS: Final = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((DEPLOY / "grafana").glob("*.json"))
}


def panels(name: str) -> list[dict[str, Any]]:
    """Those that show something; rows do not."""
    return [panel for panel in BOARDS[name]["panels"] if panel["type"] != "row"]


def expressions(name: str) -> Iterator[str]:
    """Every query, its variables filled in."""
    filled = {"$__rate_interval": "8m", "$__range": "1d", "$site": ".*", "$instance": "LC-0001"}
    for panel in panels(name):
        for target in panel["targets"]:
            expression = target["expr"]
            for variable, value in filled.items():
                expression = expression.replace(variable, value)
            assert "$" not in expression, f"{panel['title']}: {expression}"
            yield expression
