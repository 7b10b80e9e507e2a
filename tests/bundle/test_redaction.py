"""A configuration as it may be shown."""

import tomllib
from pathlib import Path

import pytest

from localctl.bundle.redaction import redacted
from localctl.bundle.secrets import REMOVED, Redactor

ROOT = Path(__file__).parents[2]
BLIND = Redactor([])  # the structure alone must do
BROKEN = sorted((ROOT / "tests" / "config").glob("*.toml"))
PLANTED = """
geheim = "geheim-0"
# geheim-1
[controller]  # geheim-2
identity = "LC-7"
serial_number = { deep = "geheim-3" }
[csms]
url = "wss://me:geheim-4@csms/ocpp?token=geheim-5"
basic_auth_password = "geheim-6"
basic_auth_password_file = "geheim-7"
basic_auth_pasword = "geheim-8"
ca_file = "/etc/ca.pem"
[stations.wss]
cert_file = "/c"
serials = { "CS 1" = "SN-1" }
[extra.deep]
anything = ["geheim-9"]
[[log]]
level = "geheim-10"
"""


def test_the_example_says_the_same_redacted() -> None:
    """A configuration without secrets keeps its meaning, and loses its comments."""
    text = (ROOT / "config.example.toml").read_text(encoding="utf-8")
    shown = tomllib.loads(redacted(text, BLIND))
    whole = tomllib.loads(text)
    for section, key in (("csms", "basic_auth_password"), ("admin", "password")):
        whole[section][key] = REMOVED  # empty, but whoever looks at it need not know
    assert shown == whole
    assert "#" not in redacted(text, BLIND)


def test_nothing_planted_is_shown() -> None:
    """Unknown keys, wrong kinds, comments, URLs and what should be a path: the structure stays."""
    shown = redacted(PLANTED, BLIND)
    assert "geheim-" not in shown
    tree = tomllib.loads(shown)
    assert (tree["controller"]["identity"], tree["csms"]["ca_file"]) == ("LC-7", "/etc/ca.pem")
    assert tree["stations"]["wss"]["serials"] == {"CS 1": "SN-1"}
    assert (tree["geheim"], tree["extra"], tree["log"], tree["csms"]["basic_auth_pasword"]) == (REMOVED,) * 4
    assert tree["csms"]["url"].startswith("wss://…@csms/ocpp?")


def test_nothing_planted_is_shown_of_what_is_no_toml() -> None:
    """The same by pattern: sections, known keys and plain values stay."""
    shown = redacted(PLANTED + '\nbasic_auth_password = """geheim-11\ngeheim-12\n', BLIND)
    assert "geheim-" not in shown
    lines = shown.splitlines()
    assert {"[controller]", "[stations.wss]", 'identity = "LC-7"', 'ca_file = "/etc/ca.pem"'} <= set(lines)
    assert f"basic_auth_password = {REMOVED}" in lines


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_a_broken_configuration_hides_its_secret(path: Path) -> None:
    """Each of the broken files, whatever is wrong with it."""
    assert "geheim" not in redacted(path.read_bytes().decode(errors="replace"), BLIND)
