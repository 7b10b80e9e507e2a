"""What may stand in an expression of PromQL of ours: the series of localctl's /metrics, and what Prometheus makes."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from prometheus_client import CollectorRegistry

from localctl.metrics import Metrics

DEPLOY: Final = Path(__file__).resolve().parents[2] / "deploy"
RULES: Final = DEPLOY / "prometheus" / "localctl.rules.yml"
_OPEN: Final = (
    ("localctl_station_connected", "station"),
    ("localctl_build_info", "version"),
    ("localctl_build_info", "python"),
)
_TARGET: Final = {"job": {"localctl"}, "instance": set[str](), "site": set[str]()}  # an empty set: any value
_NO_METRIC: Final = (
    "abs avg_over_time bottomk by changes clamp_min count histogram_quantile increase last_over_time le max_over_time"
    " min min_over_time offset on or quantile_over_time rate sum time topk unless and vector without"
).split()


@cache
def rules() -> list[dict[str, Any]]:
    """Every rule, of all groups."""
    return [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    """Every rule that alerts."""
    return [rule for rule in rules() if "alert" in rule]


def exported() -> dict[str, dict[str, set[str]]]:
    """By the names of samples, with their prefix: which labels they have, with all their values; none: any value."""
    metrics = Metrics(CollectorRegistry(), "1.2.3")
    metrics.attendance.keep(1)
    metrics.attendance.note("CS-1", present=True)
    found: dict[str, dict[str, set[str]]] = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    for name, label in _OPEN:
        found[name][label] = set()
    return found


@cache
def known() -> dict[str, dict[str, set[str]]]:
    """The same, with the labels of a target, what our rules record, and Prometheus's own series."""
    found = {name: labels | _TARGET for name, labels in exported().items()}
    found |= {rule["record"]: dict(_TARGET) for rule in rules() if "record" in rule}
    found["up"] = dict(_TARGET)
    found["ALERTS"] = _TARGET | {
        "alertname": {rule["alert"] for rule in alerts()},
        "alertstate": {"pending", "firing"},
        "severity": {"critical", "warning", "info"},
    }
    return found


def faults(expression: str) -> Iterator[str]:
    """What in it is no series of ours, or no label or value of it."""
    series = known()
    everywhere = {label for labels in series.values() for label in labels} | {"le"}
    plain = re.sub(r'"[^"]*"', '""', expression)
    for labels in re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", plain):
        yield from (f"label {name}" for name in re.findall(r"\w+", labels) if name not in everywhere)
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(?:by|without|on|ignoring)\s*\([^)]*\)|\boffset \w+", " ", plain)
    for name in re.findall(r"(?<![\w:.])[a-zA-Z_][\w:]*", bare):
        if name not in series and name not in _NO_METRIC:
            yield f"metric {name}"
    for name, matchers in re.findall(r"([a-zA-Z_][\w:]*)\{([^}]*)\}", expression):
        yield from _faults_of(name, matchers, series.get(name, {}))


def _faults_of(name: str, matchers: str, labels: dict[str, set[str]]) -> Iterator[str]:
    for label, operator, value in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', matchers):
        if label not in labels:
            yield f"label {label} of {name}"
            continue
        for each in value.split("|") if "~" in operator else [value]:
            if labels[label] and not any(re.fullmatch(each, one) for one in labels[label]):
                yield f"value {each} of {label} of {name}"
