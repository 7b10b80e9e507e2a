"""The sections of the configuration and what they check among their keys."""

import json

import pytest
from pydantic import ValidationError

from localctl.config import parse
from localctl.sections import Config


def make(**sections: dict[str, object]) -> Config:
    """A valid configuration with these sections laid over the smallest one."""
    smallest: dict[str, dict[str, object]] = {"controller": {"identity": "LC"}, "csms": {"url": "ws://csms.example"}}
    return parse(smallest | sections, "c.toml", {})


def test_configuration_is_frozen() -> None:
    """Nothing changes a configuration once it is read."""
    config = make()
    with pytest.raises(ValidationError):
        config.controller.identity = "other"  # type: ignore[misc]  # what mypy forbids is tried on purpose


def test_listeners_are_those_of_the_sections() -> None:
    """Each section with an address is a listener under the key that names it; admin's may be empty."""
    config = make(
        stations={"ws": {"listen": "127.0.0.1:1"}},
        publish={"http": {"listen": "127.0.0.1:2"}, "ftp": {"listen": "[::1]:3"}},
    )
    assert {key: str(address) for key, address in config.listeners().items()} == {
        "stations.ws.listen": "127.0.0.1:1",
        "publish.http.listen": "127.0.0.1:2",
        "publish.ftp.listen": "[::1]:3",
        "admin.listen": "127.0.0.1:9188",
    }
    assert make(admin={"listen": ""}).listeners() == {}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0.0.0.0:8080", "0.0.0.0:8080"),
        ("0.0.0.0:8080", "127.0.0.1:8080"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("[::]:8080", "[::1]:8080"),
    ],
)
def test_two_listeners_cannot_share_an_address(one: str, other: str) -> None:
    """The second of them could never be bound, so both are refused at once."""
    with pytest.raises(ValueError, match=r"is taken by publish\.http\.listen already"):
        Config.model_validate(
            {
                "controller": {"identity": "LC"},
                "csms": {"url": "ws://csms.example"},
                "publish": {"http": {"listen": one}, "ftp": {"listen": other}},
            }
        )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("127.0.0.1:8080", "127.0.0.2:8080"),
        ("0.0.0.0:8080", "[::]:8080"),
        ("0.0.0.0:8080", "0.0.0.0:8081"),
    ],
)
def test_listeners_with_addresses_of_their_own_are_kept(one: str, other: str) -> None:
    """Another port, another host, another family, or any free port."""
    assert len(make(publish={"http": {"listen": one}, "ftp": {"listen": other}}, admin={"listen": ""}).listeners()) == 2


def test_json_has_the_values_as_the_file_has_them() -> None:
    """What a configuration is written out as can be read in again, but for its secrets."""
    publish: dict[str, object] = {
        "ftp": {},
        "http": {"listen": "[::1]:0"},
        "allowed_networks": ["10.0.0.0/8", "fd00::1"],
    }
    config = make(publish=publish, admin={"listen": ""})
    tree = json.loads(config.model_dump_json())
    assert tree["publish"]["ftp"]["passive_ports"] == "50000-50199"
    assert tree["publish"]["http"]["listen"] == "[::1]:0"
    assert tree["publish"]["allowed_networks"] == ["10.0.0.0/8", "fd00::1/128"]
    assert tree["admin"]["listen"] == ""
    assert parse(tree, "c.toml", {}) == config
