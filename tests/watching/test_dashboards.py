"""The dashboards of Grafana: they import as they are, and show what localctl exports."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.watching.boards import BOARDS, expressions, panels
from tests.watching.series import faults

UNITS = {value for value in vars(units).values() if isinstance(value, str)}
WIDTH = 24  # columns of Grafana's grid
board = pytest.mark.parametrize("name", sorted(BOARDS))


def lost(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """What of ours is not in theirs."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            yield from lost(value, theirs[key], f"{path}.{key}") if key in theirs else [f"{path}.{key}"]
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from lost(one, other, f"{path}[{number}]")
    elif ours != theirs:
        yield path


@board
def test_grafana_s_own_types_hold_all_of_it(name: str) -> None:
    """Read into them and written again nothing is lost: there is no field that Grafana does not know."""
    register_default_plugins()
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(BOARDS[name])))
    assert list(lost(BOARDS[name], again)) == []


@board
def test_it_imports_as_it_is(name: str) -> None:
    """It names no data source of somebody's: one is chosen above the dashboard, and every panel asks that one."""
    known = BOARDS[name]
    assert known["schemaVersion"] == Dashboard().schema_version
    assert known.keys().isdisjoint({"id", "__inputs", "__requires"})
    [source] = [each for each in known["templating"]["list"] if each["type"] == "datasource"]
    assert source["query"] == "prometheus"
    asked = re.findall(r'"uid": "([^"]*)"', json.dumps(known["panels"]) + json.dumps(known["templating"]))
    assert set(asked) == {f"${{{source['name']}}}"}


def test_each_has_a_uid_of_its_own() -> None:
    """So that one replaces itself when it is imported again, and links find it."""
    uids = {BOARDS[name]["uid"] for name in BOARDS}
    assert len(uids) == len(BOARDS) == 2
    linked = set(re.findall(r"/d/([\w-]+)/", json.dumps(list(BOARDS.values()))))
    assert linked
    assert linked <= uids
    for known in BOARDS.values():
        assert [link["tags"] for link in known["links"] if link["type"] == "dashboards"] == [known["tags"]]


@board
def test_every_panel_explains_itself(name: str) -> None:
    """A title of its own, a description, queries, and a unit that Grafana has."""
    shown = panels(name)
    titles = [panel["title"] for panel in shown]
    assert len({panel["id"] for panel in BOARDS[name]["panels"]}) == len(BOARDS[name]["panels"])
    assert [title for title in titles if titles.count(title) > 1] == []
    for panel in shown:
        assert panel["description"], panel["title"]
        assert panel["targets"], panel["title"]
        used = {panel["fieldConfig"]["defaults"]["unit"]} | {
            each["value"]
            for override in panel["fieldConfig"]["overrides"]
            for each in override["properties"]
            if each["id"] == "unit"
        }
        assert used <= UNITS, panel["title"]


@board
def test_no_panel_lies_on_another(name: str) -> None:
    """Each has its place within the grid."""
    taken: set[tuple[int, int]] = set()
    for panel in BOARDS[name]["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert all(0 <= x < WIDTH for x, _ in cells), panel["title"]
        assert not taken & cells, panel["title"]
        taken |= cells


@board
def test_prometheus_understands_every_query(name: str, tmp_path: Path) -> None:
    """``promtool check rules`` of a rule for each."""
    written = [{"record": f"query_{at}", "expr": query} for at, query in enumerate(expressions(name))]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": name, "rules": written}]}), encoding="utf-8")
    done = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(written)} rules found" in done.stdout


@board
def test_only_what_is_exported_is_shown(name: str) -> None:
    """No metric, label or value of a label that localctl does not have, also in the names of lines and columns."""
    assert {query: found for query in expressions(name) if (found := list(faults(query)))} == {}
    for panel in panels(name):
        for target in panel["targets"]:
            labels = ",".join(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")))
            assert list(faults(f"sum by ({labels}) (up)")) == [], panel["title"]


@board
def test_what_a_query_is_rated_over_is_longer_than_a_scrape(name: str) -> None:
    """$__rate_interval is four times the step that the query asks for: 2 minutes, as an agent scrapes that often."""
    for panel in panels(name):
        for target in panel["targets"]:
            assert ("$__rate_interval" in target["expr"]) == (target.get("interval") == "2m"), panel["title"]
