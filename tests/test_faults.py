"""Faults of a configuration in words."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from localctl.faults import line_of, placed, sentences, syntax_sentence
from localctl.sections import Config


def said(text: str) -> list[str]:
    """What is said about the TOML document ``text``."""
    tree = tomllib.loads(text)
    with pytest.raises(ValidationError) as caught:
        Config.model_validate(tree)
    return list(sentences(caught.value, Config, tree))


def said_of_syntax(text: str) -> str:
    """What is said about ``text``, which is not TOML."""
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads(text)
    return syntax_sentence(str(caught.value), text)


@pytest.mark.parametrize(
    ("text", "place", "allowed"),
    [
        ("a = 1\nb = x\n", "line 2, column 5: ", "KEY = VALUE, with text in double quotes"),
        ("a = “x”\n", "line 1, column 5: ", "straight double quotes"),
        ("a = ”x”\n", "line 1, column 5: ", "straight double quotes"),
        ('a = "C:\\users"\n', "line 1, column ", "a backslash only as \\\\"),
        ('a = "x\n', "line 1, column ", "text that ends in its quote"),
        ("[a]\n[b]\n[a]\n", "line 3, column ", "each [section] once"),
        ("a = 1\na = 2\n", "line 2, column ", "each key once"),
        ("\ufeffa = 1\n", "line 1, column 1: ", "UTF-8 without a byte order mark"),
        ("a =", "", "KEY = VALUE"),
        ("[a", "", "KEY = VALUE"),
    ],
)
def test_syntax_fault_says_where_and_what_to_do(text: str, place: str, allowed: str) -> None:
    """The ordinary slips of the pen in TOML, each with its own advice."""
    line = said_of_syntax(text)
    assert line.startswith(place)
    assert "is not TOML: " in line
    assert f"; allowed: {allowed}" in line
    assert len(line.splitlines()) == 1


def test_syntax_fault_of_an_unknown_kind_is_told_as_it_is() -> None:
    """A message without a place is passed on."""
    assert syntax_sentence("too deep", "").startswith("is not TOML: too deep; allowed: ")


def test_every_fault_is_told_at_once() -> None:
    """One run tells all, in the order of the sections."""
    places = [line.partition(": ")[0] for line in said("[controller]\n[csms]\nurl = 1\n[log]\nlevel = 1\nformat = 2\n")]
    assert places == ["controller.identity", "csms.url", "log.level", "log.format"]


def test_empty_document_lacks_its_sections() -> None:
    """Nothing at all is two faults."""
    assert said("") == [
        "controller: is missing; allowed: [controller] with identity",
        "csms: is missing; allowed: [csms] with url",
    ]


def test_long_value_is_cut() -> None:
    """A value without end does not fill the terminal."""
    [line] = said(f'[controller]\nidentity = "{"x" * 5000}"\n[csms]\nurl = "ws://h"\n')
    assert f'"{"x" * 100}…" is not an identity' in line


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:geheim@host/x", "http://…@host/x"),
        ("http://user:ge@heim@host/x", "http://…@host/x"),
        ("http://user:ge/h?e#im@host", "http://…@host"),
        ("user:geheim@host", "…@host"),
        ("http://host/x?token=geheim", "http://host/x?…"),
        ("http://host/x#geheim", "http://host/x#…"),
    ],
)
def test_url_is_told_without_its_secrets(url: str, shown: str) -> None:
    """User, password, query and fragment of a URL are left out, wherever its other parts begin."""
    [line] = said(f'[controller]\nidentity = "LC"\n[csms]\nurl = "{url}"\n')
    assert f'csms.url: "{shown}" ' in line
    assert "heim" not in line


@given(key=st.text(max_size=20), value=st.text(max_size=20))
def test_fault_is_always_one_line(key: str, value: str) -> None:
    """Whatever a key and a value hold, a fault is one line without control characters."""
    tree = {"controller": {"identity": f"/{value}"}, "csms": {"url": "ws://h", f"x{key}": value}}
    with pytest.raises(ValidationError) as caught:
        Config.model_validate(tree)
    lines = list(sentences(caught.value, Config, tree))
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


FILE = """\
# a comment, and = no key
[controller]
identity = "LC-0001"

[csms]
  url="ws://csms.example.com/ocpp"
"basic_auth_password" = "x"
[ publish . ftp ]
passive_ports = ""
[stations]
wss = { cert_file = "/c" }
ws.listen = "0.0.0.0:1"
allowed_identities = [
  "CS-1",
]
"""


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("controller.identity", 3),
        ("csms.url", 6),
        ("csms.basic_auth_password", 7),
        ("csms.ur", 5),
        ("publish.ftp.passive_ports", 9),
        ("publish.ftp.listen", 8),
        ("stations.wss.key_file", 11),
        ("stations.ws.listen", 12),
        ("stations.allowed_identities", 13),
        ("stations", 10),
        ("log.level", None),
        ("publish", None),
        ("line 7, column 13", None),
    ],
)
def test_the_line_of_a_key(key: str, line: int | None) -> None:
    """A key's own line, however TOML has it, or else that of the section where it is missing."""
    assert line_of(key, FILE) == line


def test_a_fault_with_its_line() -> None:
    """Of a file's own faults and of those that using it shows; what names no key is told as it is."""
    assert placed("c.toml: csms.url: is wrong: so", "c.toml", FILE) == "c.toml: line 6: csms.url: is wrong: so"
    assert placed("csms.url: is wrong", "c.toml", FILE) == "c.toml: line 6: csms.url: is wrong"
    assert placed("c.toml: cannot be read", "c.toml", FILE) == "c.toml: cannot be read"
