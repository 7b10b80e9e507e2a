"""deploy/README.md: its commands run as they are printed, and what they make is of use."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from deploy.package import adapted
from localctl.checking.certificates import of_stations
from localctl.checking.firewall import is_shut, ports
from localctl.config import PublishFtp, PublishHttp, PublishHttps, StationsWs, parse
from localctl.relay.passwords import read
from localctl.station_sections import StationsWss
from localctl.tls import station_context
from tests.actors.daemon import executable
from tests.actors.greeter import greeting, listening

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
[PROFILES] = re.findall(r"^## Security profiles.*?(?=^## )", TEXT, re.DOTALL | re.MULTILINE)


def blocks(kind: str) -> list[str]:
    """The blocks of code of that kind, of the security profiles."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", PROFILES, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all of the commands were run, one after the other."""
    folder = tmp_path_factory.mktemp("authority")
    path = f"{Path(executable()).parent}:{os.environ['PATH']}"
    for block in blocks("sh"):
        subprocess.run(["sh", "-eu", "-c", block], cwd=folder, env=os.environ | {"PATH": path}, check=True)
    return folder


def section(folder: Path) -> StationsWss:
    """[stations.wss] of profile 3 as it is printed, with the files that were made."""
    wss, roots = (block for block in blocks("toml") if "password_file" not in block)
    config = parse(
        {
            "controller": {"identity": "LC"},
            "csms": {"url": "ws://csms.example"},
            **tomllib.loads((wss + roots).replace("/etc/localctl", str(folder))),
        },
        "c",
        {},
    )
    assert config.stations.wss is not None
    return config.stations.wss


def test_everything_printed_can_be_used(folder: Path) -> None:
    """`localctl check` finds nothing wrong with what the commands made."""
    now = (folder / "stations.pem").stat().st_mtime + 60
    found = list(of_stations(section(folder), now))
    assert [check.verdict for check in found] == ["ok", "ok", "ok"]


def test_stations_get_in_as_printed(folder: Path) -> None:
    """The two handshakes that are printed come to something, and without a certificate none does."""
    shown = [command for command in blocks("") if "s_client" in command]
    assert len(shown) == 2
    with listening(greeting(station_context(section(folder)))) as (host, port):
        told = [
            subprocess.run(
                ["sh", "-c", command.replace("192.168.10.1:8443", f"{host}:{port}")],
                cwd=folder, capture_output=True, text=True, check=False,
            ).stderr
            for command in shown
        ]  # fmt: skip
    assert "alert handshake failure" in told[0]  # profile 3 is on already
    assert "Verification: OK" in told[1]
    profile_2 = section(folder).model_copy(update={"client_ca_file": "", "serials": {}})
    with listening(greeting(station_context(profile_2))) as (host, port):
        done = subprocess.run(
            ["sh", "-c", shown[0].replace("192.168.10.1:8443", f"{host}:{port}")],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert "Ciphersuite: AES128-GCM-SHA256" in done.stderr
    assert "Verification: OK" in done.stderr


def test_the_firewall_lets_in_what_the_configuration_listens_on(tmp_path: Path) -> None:
    """The printed rules load again and again, and let stations come to each port of the package, and to no other."""
    [rules] = re.findall(r"^```nft\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    (tmp_path / "nftables.conf").write_text(rules)
    script = 'nft -c -f "$0"; nft -f "$0"; nft -f "$0"; nft --json list ruleset'
    loaded = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", "sh", "-ec", script, str(tmp_path / "nftables.conf")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    ruleset = json.loads(loaded.stdout)["nftables"]
    asked = dict(ports(parse(packaged(), "c", {})))
    assert len(asked) == 6
    assert not [port for port in asked.values() if is_shut(ruleset, port)]
    assert is_shut(ruleset, 9188)


def packaged() -> dict[str, Any]:  # TOML, before it is understood
    """The package's configuration, with TLS for stations and firmware on the ports that `localctl setup` gives them."""
    tree = tomllib.loads(adapted.config((ROOT / "config.example.toml").read_text(encoding="utf-8")))
    files = {"cert_file": "/c", "key_file": "/k"}
    tree["stations"]["wss"] = files
    tree["publish"]["https"] = {"listen": "0.0.0.0:443", **files}
    return tree


def test_the_firewall_s_table_names_each_port() -> None:
    """Each port of the package, and in brackets the default where that is another, beside the key that changes it."""
    rows = re.findall(r"^\| in \| (.*?)(?: \((\d+)\))? \|.*`(\S+)` \|$", TEXT, re.MULTILINE)
    listed = {key: default or port for port, default, key in rows}
    first = {key: port for port, _, key in rows}
    listeners = parse(packaged(), "c", {}).listeners()
    assert {key: first[key] for key in listeners if key in first} == {
        key: str(address.port) for key, address in listeners.items() if key != "admin.listen"
    }
    defaults = {
        "stations.ws.listen": StationsWs().listen.port,
        "publish.http.listen": PublishHttp().listen.port,
        "publish.ftp.listen": PublishFtp().listen.port,
        "stations.wss.listen": StationsWss(cert_file="/c", key_file="/k").listen.port,
        "publish.https.listen": PublishHttps(cert_file="/c", key_file="/k").listen.port,
    }
    assert {key: listed[key] for key in defaults} == {key: str(port) for key, port in defaults.items()}
    passive = PublishFtp().passive_ports
    assert passive
    assert listed["publish.ftp.passive_ports"] == f"{passive[0]} to {passive[-1]}"


def test_the_password_is_the_station_s(folder: Path) -> None:
    """The line that was printed proves what the station is configured with."""
    secret = (folder / "CS-0001.password").read_bytes().strip()
    assert 16 <= len(secret) <= 40
    assert read(str(folder / "passwords"))["cs-0001"].proves(secret)
