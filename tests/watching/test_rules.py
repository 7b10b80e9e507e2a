"""The rules of Prometheus: sound, each alert proved by promtool and explained, and made of what localctl exports."""

import re
import subprocess

import pytest

from tests.watching.series import DEPLOY, RULES, alerts, faults, rules

RUNBOOK = (DEPLOY / "README.md").read_text(encoding="utf-8")
[CHAPTER] = re.findall(r"^## What to do about each alert\n(.*?)(?=^## |\Z)", RUNBOOK, re.DOTALL | re.MULTILINE)
TESTS = sorted(RULES.parent.glob("*.test.yml"))


def promtool(*arguments: str) -> str:
    """What promtool says, which must be content."""
    command = ["promtool", *arguments]
    done = subprocess.run(command, cwd=RULES.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_finds_nothing_wrong() -> None:
    """``check rules``, with its lints."""
    assert "SUCCESS" in promtool("check", "rules", "--lint=all", "--lint-fatal", RULES.name)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_alerts_fire_when_they_should_and_not_when_they_nearly_should(path: str) -> None:
    """``test rules``."""
    assert "SUCCESS" in promtool("test", "rules", str(path))


@pytest.mark.parametrize("name", ["prometheus.yml", "agent.yml"])
def test_the_configurations_are_sound(name: str) -> None:
    """``check config``, of the central Prometheus and of one on a gateway."""
    assert "SUCCESS" in promtool("check", "config", *(["--agent"] if name == "agent.yml" else []), name)


def test_every_alert_is_tested() -> None:
    """For each there is a case in which it fires, with a near miss or another instance beside it."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in TESTS)
    cases = {case.partition("\n")[0].partition(",")[0]: case for case in text.split("  - name: ")[1:]}
    for alert in alerts():
        case = cases.get(alert["alert"], "")
        assert re.search(rf'labels: .*alertname="{alert["alert"]}"', case), alert["alert"]
        assert len(set(re.findall(r'instance="(\w+)"', case))) > 1, alert["alert"]


def test_every_alert_tells_how_bad_it_is_and_where_to_read_on() -> None:
    """Severity, summary with the gateway and its site, description, and the place of its paragraph."""
    for alert in alerts():
        name, told = alert["alert"], alert["annotations"]
        assert alert["labels"].keys() == {"severity"}, name
        assert alert["labels"]["severity"] in {"critical", "warning", "info"}, name
        assert told.keys() == {"summary", "description", "runbook"}, name
        assert "$labels.instance" in told["summary"], name
        assert "$labels.site" in told["summary"], name
        assert told["runbook"] == f"deploy/README.md#{name.lower()}", name


def test_every_alert_has_its_paragraph() -> None:
    """A heading each in deploy/README.md, under which something stands, and none for an alert that is not."""
    paragraphs = dict(re.findall(r"^### (Localctl\w+)\n(.*?)(?=^###? |\Z)", CHAPTER, re.DOTALL | re.MULTILINE))
    assert sorted(paragraphs) == sorted({alert["alert"] for alert in alerts()})
    assert [name for name, text in paragraphs.items() if len(text.split()) < 20] == []


def test_rules_are_made_of_what_is_exported() -> None:
    """No metric, label or value of a label that localctl does not have."""
    wrong = {rule.get("alert") or rule["record"]: list(faults(rule["expr"])) for rule in rules()}
    assert {name: found for name, found in wrong.items() if found} == {}


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("rate(localctl_connects_total[5m])", "metric localctl_connects_total"),
        ('localctl_publications{state="done"} > 0', "value done of state of localctl_publications"),
        ('localctl_publications{status="paused"}', "label status of localctl_publications"),
        ("sum by (reasons) (localctl_csms_connected)", "label reasons"),
        ('up{job="node"}', "value node of job of up"),
    ],
)
def test_what_is_not_exported_is_found(expression: str, fault: str) -> None:
    """The test above sees a slip of the pen."""
    assert list(faults(expression)) == [fault]
