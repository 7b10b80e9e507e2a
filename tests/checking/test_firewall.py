"""Whether nftables evidently keeps stations out: real rules, loaded in a network of their own."""

import json
import subprocess
import sys
from typing import Any

import pytest

from localctl.checking.firewall import is_shut, of_nftables, ports
from tests.checking.site import config, lines

CHAIN = """chain input {
    type filter hook input priority 0; policy drop
    ct state established,related accept
    %s
  }"""
MORE = """set ours {
    type inet_service
    elements = { 8887 }
  }
  chain others {
    tcp dport 8887 accept
  }"""
ASK = """
from localctl.checking.firewall import of_nftables
from localctl.config import parse
sections = {"stations": {"ws": {}}, "publish": {"http": {"listen": "127.0.0.1:8080"}}}
config = parse({"controller": {"identity": "LC"}, "csms": {"url": "ws://csms.example"}} | sections, "c", {})
for check in of_nftables(config):
    print(check.verdict, check.what)
"""


def inside(rules: str, *command: str) -> str:
    """What a command says in a network with these rules."""
    script = 'echo "$0" | nft -f -; exec "$@"'
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", "sh", "-ec", script, rules, *command],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def loaded(rules: str) -> list[dict[str, Any]]:
    """A ruleset as nft tells it."""
    found: list[dict[str, Any]] = json.loads(inside(rules, "nft", "--json", "list", "ruleset"))["nftables"]
    return found


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "tcp dport 8888 accept",
        "udp dport 8887 accept",
        "tcp dport { 80, 8880-8886 } accept",
        'iifname "lo" accept\n ip protocol icmp accept',
        "meta l4proto { icmp, ipv6-icmp } accept\n icmp type echo-request accept",
        "tcp dport 8887 drop",
        "counter\n log",
    ],
)
def test_a_port_that_is_shut(rule: str) -> None:
    """Whatever is let in is something else."""
    assert is_shut(loaded(f"table inet t {{\n {CHAIN % rule}\n }}"), 8887)


@pytest.mark.parametrize(
    "rule",
    [
        "tcp dport 8887 accept",
        "tcp dport { 80, 8880-8890 } accept",
        "tcp dport 8000-9000 ip saddr 10.0.0.0/8 accept",
        "tcp dport != 22 accept",
        "tcp dport @ours accept",
        "th dport 8887 accept",
        "ct state { new, established } accept",
        "meta l4proto { tcp, udp } accept",
        "ip protocol tcp accept",
        'iifname "lan0" accept',
        "tcp dport vmap { 8887 : accept }",
        "jump others",
    ],
)
def test_a_port_that_may_be_open(rule: str) -> None:
    """Let in by number, by range, by a set, by an interface, by another chain; what is not understood might too."""
    assert not is_shut(loaded(f"table inet t {{\n {MORE}\n {CHAIN % rule}\n }}"), 8887)


def test_a_firewall_that_drops_nothing_by_itself() -> None:
    """A chain that lets in whatever it does not know keeps nobody out, nor do other hooks; another table may."""
    assert not is_shut([], 8887)
    output = "chain o {\n type filter hook output priority 0; policy drop\n }"
    let_in = "chain i {\n type filter hook input priority 0; policy accept\n tcp dport 8887 accept\n }"
    assert not is_shut(loaded(f"table inet t {{\n {output}\n {let_in}\n }}"), 8887)
    assert is_shut(loaded(f"table inet t {{\n {let_in}\n }}\ntable ip u {{\n {CHAIN % ''}\n }}"), 8887)


def test_the_machine_s_own_rules_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each port that stations need, by its key; loopback is nobody's to shut. Without nft nothing is said."""
    told = inside(f"table inet t {{\n {CHAIN % ''}\n }}", sys.executable, "-c", ASK)
    assert told == "warn firewall: nftables lets nobody come to TCP 8887 (stations.ws.listen)\n"
    monkeypatch.setenv("PATH", "/nonexistent")
    assert not lines(of_nftables(config(stations={"ws": {}})))


def test_ports_that_stations_need() -> None:
    """Listeners by number, the ends of FTP's range; no port 0, which is another one each time."""
    found = config(stations={"ws": {"listen": "0.0.0.0:0"}}, publish={"ftp": {"passive_ports": "50000-50009"}})
    assert sorted(ports(found), key=str) == [
        ("publish.ftp.listen", 2121),
        ("publish.ftp.passive_ports", 50000),
        ("publish.ftp.passive_ports", 50009),
    ]
