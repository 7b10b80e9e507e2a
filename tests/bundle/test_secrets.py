"""What is secret, and that it is found wherever it stands."""

import base64
import json
from urllib.parse import quote

import pytest

from localctl.bundle.secrets import REMOVED, Redactor, files, is_secret, stated

SECRET = 'ge"heim/0815 ü+%'


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        quote(SECRET),
        quote(SECRET, safe=""),
        SECRET.encode().hex(),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"LC-7:{SECRET}".encode()).decode(),
    ],
)
def test_a_known_secret_is_found_in_every_form(written: str) -> None:
    """As it is, in JSON, in a URL, in hex, in base64, alone and with the user before it."""
    told = Redactor([SECRET], "LC-7").text(f"file /firmware/{written}/x and {written}.")
    assert REMOVED in told
    assert written.strip('"') not in told


@pytest.mark.parametrize(
    "text",
    [
        "ftp://me:geheim@origin/fw.bin",
        "ftp://me:ge/heim@origin/fw.bin",
        "https://origin/fw.bin?X-Signature=geheim&a=b",
        "https://origin/fw.bin#geheim",
        "Authorization: Basic Z2VoZWltZ2VoZWlt geheim-".replace(" geheim-", ""),
        "password=geheim",
        'the "basic_auth_password": "geheim mit Leerzeichen", next',
        "api_key: geheim",
        "API-Token = 'geheim x'",
        "-----BEGIN EC PRIVATE KEY-----\ngeheim\n-----END EC PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\ngeheim, and then it was cut",
    ],
)
def test_what_looks_like_a_credential_goes(text: str) -> None:
    """Also where nobody has said that it is one."""
    told = Redactor([]).text(f"before {text}")
    assert told.startswith("before ")
    assert "geheim" not in told
    assert "Z2Vo" not in told


@pytest.mark.parametrize(
    "text",
    [
        "csms.basic_auth_password_file: /etc/localctl/csms-password can be read by everyone",
        'basic_auth_password_file = "credential:csms-password"',
        "csms.url: the password crosses the network unencrypted",
        "http://10.0.0.1:8080/firmware/0cf1e0c81b978de7834ff324363045d7/fw.bin is fetched by 10.0.0.7:4711",
        'localctl_auth_failures_total{listener="publish.http"} 0.0',
        "2026-01-31T12:00:00Z INFO localctl.uplink: connected to wss://csms.example.com/ocpp as LC-7",
    ],
)
def test_what_helps_stays(text: str) -> None:
    """Paths, addresses, URLs, names and counts are what the archive is for."""
    assert Redactor(["geheim"], "LC-7").text(text) == text


def test_a_document_is_cleaned_throughout() -> None:
    """In its lists, its keys and its texts; numbers stay."""
    document = {"a": [{"geheim": "x geheim", "n": 1, "none": None}]}
    assert Redactor(["geheim"]).document(document) == {"a": [{REMOVED: f"x {REMOVED}", "n": 1, "none": None}]}


def test_a_secret_of_a_letter_or_two_removes_nothing() -> None:
    """It would stand in every word."""
    assert Redactor(["", "abc"]).text("abcdef") == "abcdef"


def test_secrets_are_found_in_a_configuration_and_in_what_should_be_one() -> None:
    """Inline, in comments, under unknown keys, in URLs, in place of a path, in lines that are no TOML."""
    text = (
        '# basic_auth_password = "secret-0"\n[csms]\nurl = "ws://me:secret-1@x"\n'
        'basic_auth_password = "secret-2"  # mine\nbasic_auth_pasword_file = "/p"\n'
        'basic_auth_password_file = "secret-3"\n'
        "[admin]\npassword = 'secret-4'\npassword = secret-5\napi-token = \"secret-6\n"
    )
    found = set(stated(text))
    assert {f"secret-{number}" for number in range(7)} <= found
    assert "/p" not in found


def test_secrets_over_several_lines_are_found() -> None:
    """Where TOML can tell."""
    assert 'a"b\nc' in set(stated('[x]\npassword = """a"b\nc"""\n'))


def test_files_of_secrets_are_named() -> None:
    """Paths and credentials; of a broken file too."""
    text = '[csms\nbasic_auth_password_file = "/a/b"  # x\n[admin]\npassword = "/x"\n'
    text += "password_file = 'credential:admin'\n"
    assert list(files(text)) == ["/a/b", "credential:admin"]


def test_names_of_secrets() -> None:
    """A key that names a file holds none."""
    assert all(is_secret(key) for key in ("password", "basic_auth_password", "Token"))
    assert not any(is_secret(key) for key in ("password_file", "key_file", "url"))
