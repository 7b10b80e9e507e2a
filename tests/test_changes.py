"""Which keys differ, and which of them are taken over without a restart."""

import re
from pathlib import Path
from typing import Any

import pytest

from localctl.changes import LIVE, RESTART, Changes, changes, is_live
from localctl.config import Config, parse
from tests.test_config import keys

OWN = {"cert_file": "/c", "key_file": "/k"}
LAN = {**OWN, "client_ca_file": "/r"}
BASE: dict[str, dict[str, Any]] = {
    "controller": {"identity": "LC-0001"},
    "csms": {"url": "ws://csms.example.com/ocpp", "basic_auth_password": "old and secret"},
    "stations": {"ws": {}, "wss": LAN},
    "publish": {"http": {}, "ftp": {}},
}


def config(**sections: dict[str, Any]) -> Config:
    """BASE, with ``sections`` laid over its own; None takes one of a section's away."""
    tree = {name: {**BASE.get(name, {}), **sections.get(name, {})} for name in {*BASE, *sections}}
    there = {name: {key: value for key, value in keys.items() if value is not None} for name, keys in tree.items()}
    return parse(there, "test", {})


def changed(**sections: dict[str, Any]) -> Changes:
    """What ``sections`` change of BASE."""
    return changes(config(), config(**sections))


def parts(key: str) -> set[str]:
    """The key, and every section that it is in."""
    names = key.split(".")
    return {".".join(names[:count]) for count in range(1, len(names) + 1)}


def test_each_key_is_in_one_table() -> None:
    """By itself or by its section, once; and the tables name nothing that is not there."""
    assert {key: len(parts(key) & (LIVE | RESTART)) for key in keys(Config)} == dict.fromkeys(keys(Config), 1)
    assert not LIVE & RESTART
    assert {*LIVE, *RESTART} <= {part for key in keys(Config) for part in parts(key)}


def test_a_key_is_live_as_its_table_says() -> None:
    """Also where the table names only its section."""
    assert {key for key in keys(Config) if is_live(key)} == {key for key in keys(Config) if parts(key) & LIVE}


def test_nothing_differs() -> None:
    """The same file once more changes nothing."""
    found = changed()
    assert (found.live, found.restart, found.config) == ((), (), config())


def test_what_is_live_is_taken_over() -> None:
    """Keys of several sections, in the order of the file's sections; nothing asks for a restart."""
    found = changed(
        csms={"basic_auth_password": "new and secret"},
        stations={"max_stations": 5, "wss": {**LAN, "serials": {"CS-1": "SN-1"}}},
        firmware={"max_rate": "1MiB"},
        log={"level": "debug"},
    )
    assert found.live == (
        "csms.basic_auth_password",
        "stations.max_stations",
        "stations.wss.serials",
        "firmware.max_rate",
        "log.level",
    )
    assert found.restart == ()
    assert found.config.csms.basic_auth_password.get_secret_value() == "new and secret"
    assert found.config.stations.wss is not None
    assert found.config.stations.wss.serials == {"CS-1": "SN-1"}
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ({"controller": {"vendor_name": "x"}}, "controller.vendor_name"),
        ({"csms": {"url": "ws://other.example.com/ocpp"}}, "csms.url"),
        ({"stations": {"ws": {"listen": "0.0.0.0:1"}}}, "stations.ws.listen"),
        ({"stations": {"wss": {**LAN, "min_tls": "1.3"}}}, "stations.wss.min_tls"),
        ({"stations": {"ws": None}}, "stations.ws"),
        ({"publish": {"https": OWN}}, "publish.https"),
        ({"publish": {"ftp": None}}, "publish.ftp"),
        ({"admin": {"listen": ""}}, "admin.listen"),
    ],
)
def test_what_takes_a_restart_stays_as_it_is(section: dict[str, Any], key: str) -> None:
    """An address, a path, a listener that comes or goes; what else has changed is taken over all the same."""
    found = config(**section, log={"format": "json"})
    told = changes(config(), found)
    assert (told.restart, told.live) == ((key,), ("log.format",))
    assert told.config == config(log={"format": "json"})
    assert changes(told.config, found).restart == (key,)  # until there is one


@pytest.mark.parametrize(
    ("found", "restart", "live"),
    [
        (
            {
                "csms": {
                    "url": "ws://other.example.com/ocpp",
                    "basic_auth_password": "for the other",
                    "compression": False,
                }
            },
            ("csms.url", "csms.basic_auth_password"),
            ("csms.compression",),
        ),
        (
            {"controller": {"identity": "LC-0002"}, "csms": {"basic_auth_password": "of the other"}},
            ("controller.identity", "csms.basic_auth_password"),
            (),
        ),
        (
            {"stations": {"wss": {**LAN, "client_ca_file": "/new", "certificate_identity": "any"}, "max_stations": 7}},
            ("stations.wss.client_ca_file", "stations.wss.certificate_identity"),
            ("stations.max_stations",),
        ),
        (
            {"stations": {"ws": None, "authentication": "local", "password_file": "/p"}},
            ("stations.authentication", "stations.password_file", "stations.ws"),
            (),
        ),
    ],
)
def test_who_proves_what_to_whom_changes_in_one_step(
    found: dict[str, Any], restart: tuple[str, ...], live: tuple[str, ...]
) -> None:
    """No password goes to a CSMS that it is not for, and no door stands open until the restart."""
    told = changed(**found)
    assert (told.restart, told.live) == (restart, live)
    assert told.config.csms.basic_auth_password == config().csms.basic_auth_password
    assert told.config.stations.authentication == "csms"
    assert told.config.stations.wss == config().stations.wss


def test_the_document_names_them() -> None:
    """deploy/README.md lists what takes a restart as the table has it."""
    text = (Path(__file__).parents[1] / "deploy" / "README.md").read_text(encoding="utf-8")
    text = text.partition("**What takes a restart**")[2].partition("**From when on")[0]
    rows = dict(re.findall(r"^\| `\[([a-z.]+)\]`(?:, `\[publish.https\]`)? \| (.*) \|$", text, re.MULTILINE))
    assert {f"csms.{name}" for name in re.findall("`(.*?)`", rows["csms"])} == {
        key for key in RESTART if key.startswith("csms.")
    }
    for section in ("stations.wss", "publish.ftp"):
        assert rows[section].startswith("all but ")
        named = {f"{section}.{name}" for name in re.findall("`(.*?)`", rows[section])}
        assert named == {key for key in LIVE if key.startswith(f"{section}.")}
