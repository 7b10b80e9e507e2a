"""An outcome in a file: what changes, and what stays as somebody wrote it."""

import difflib
import tomllib
from pathlib import Path

import pytest

from localctl.setup.document import Unwritable, rewritten
from localctl.setup.outcome import Outcome

EXAMPLE = (Path(__file__).parents[2] / "config.example.toml").read_text(encoding="utf-8")
WSS = {"stations.wss.listen": "0.0.0.0:8443", "stations.wss.cert_file": "/c", "stations.wss.key_file": "/k"}


def changed(text: str, made: Outcome) -> list[str]:
    """The lines that differ, with their signs."""
    lines = difflib.unified_diff(text.splitlines(), rewritten(text, made).splitlines(), lineterm="", n=0)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def test_a_value_changes_and_its_comment_stays() -> None:
    """Of the example only the lines that differ."""
    assert changed(EXAMPLE, Outcome({"controller.identity": 'LC "7"', "csms.ca_file": ""}, ())) == [
        '-identity = "LC-0001"',
        '+identity = "LC \\"7\\""',
    ]


def test_a_section_that_is_a_comment_is_brought_to_life_where_it_is() -> None:
    """Its header and the keys that get a value; its other keys and its explanations stay comments."""
    assert changed(EXAMPLE, Outcome(WSS, ())) == [
        "-# [stations.wss]",
        '-# listen = "0.0.0.0:8443"',
        "+[stations.wss]",
        '+listen = "0.0.0.0:8443"',
        '-# cert_file = "/etc/localctl/stations.pem"',
        '-# key_file = "/etc/localctl/stations.key"',
        '+cert_file = "/c"',
        '+key_file = "/k"',
    ]


def test_a_section_that_is_not_wanted_becomes_a_comment_and_comes_back() -> None:
    """To and fro the file is as it was: nothing is lost."""
    without = rewritten(EXAMPLE, Outcome({}, ("publish.ftp", "stations.ws")))
    assert "ftp" not in tomllib.loads(without)["publish"]
    assert "ws" not in tomllib.loads(without)["stations"]
    ftp = {"listen": "0.0.0.0:2121", "passive_ports": "50000-50199"}
    back = {**{f"publish.ftp.{key}": value for key, value in ftp.items()}, "stations.ws.listen": "0.0.0.0:8887"}
    assert tomllib.loads(rewritten(without, Outcome(back, ())))["publish"]["ftp"] == ftp
    assert len(rewritten(without, Outcome(back, ())).splitlines()) == len(EXAMPLE.splitlines())


def test_sections_that_stand_nowhere_are_added() -> None:
    """A short file of somebody's own grows by what is wanted."""
    text = '# mine\n[controller]\nidentity = "LC-7"  # the gateway\n\n[csms]\nurl = "ws://x"\n'
    result = rewritten(text, Outcome({**WSS, "csms.url": "wss://y", "publish.host": ""}, ("publish.ftp",)))
    assert result.startswith('# mine\n[controller]\nidentity = "LC-7"  # the gateway\n\n[csms]\nurl = "wss://y"\n')
    assert tomllib.loads(result) == {
        "controller": {"identity": "LC-7"},
        "csms": {"url": "wss://y"},
        "stations": {"wss": {"listen": "0.0.0.0:8443", "cert_file": "/c", "key_file": "/k"}},
    }


@pytest.mark.parametrize(
    "text",
    [
        'stations.wss.listen = "0.0.0.0:1"\nstations.max_stations = 3\n',
        '[stations]\nmax_stations = 3\nwss = { listen = "0.0.0.0:1", min_tls = "1.2" }\n',
        '[ stations . wss ]\nlisten = "0.0.0.0:1"\n[stations]\nmax_stations = 3\n',
        '[stations.wss]\nlisten = """\n0.0.0.0:1"""\nserials = { }\n\n[stations]\nmax_stations = 3\n',
        '[stations.wss] # tls\nlisten = "0.0.0.0:1"\n[stations.wss.serials]\nx = "y"\n[stations]\nmax_stations = 3\n',
    ],
)
def test_whichever_way_a_section_is_written(text: str) -> None:
    """Values change and sections go, in every way that TOML has."""
    tree = tomllib.loads(text)
    changed = tomllib.loads(rewritten(text, Outcome(WSS, ())))
    assert changed["stations"]["wss"] == {**tree["stations"]["wss"], **{key[13:]: value for key, value in WSS.items()}}
    gone = tomllib.loads(rewritten(text, Outcome({}, ("stations.wss",))))
    assert (gone["stations"]["max_stations"], "wss" in gone["stations"]) == (3, False)


def test_what_is_so_already_changes_nothing() -> None:
    """Byte for byte, line ends of another system too."""
    text = '[csms]\r\nurl = "ws://x"\r\n'
    assert rewritten(text, Outcome({"csms.url": "ws://x", "csms.ca_file": ""}, ("publish.ftp",))) == text
    assert rewritten(text, Outcome({"csms.url": "ws://y"}, ())) == '[csms]\r\nurl = "ws://y"\r\n'


def test_what_cannot_be_changed_without_harm_is_left_alone() -> None:
    """A key where a section should be."""
    with pytest.raises(Unwritable):
        rewritten('stations = "x"\n', Outcome(WSS, ()))
