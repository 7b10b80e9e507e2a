"""Whether nftables evidently keeps stations from a port of ours. Rules, but for the edge that asks it; root alone may.

Evident is what no rule of a table can let in whose input chain drops the rest. Whatever is not understood might let it
in, so it is not evident. What an older iptables keeps out is not seen here.
"""

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from localctl.checking.verdict import Check
from localctl.config import Config
from localctl.networks import is_loopback

_SECONDS: Final = 2
_NOT_NEW: Final = frozenset({"established", "related", "invalid", "untracked"})
_TCP: Final = frozenset({"tcp", "th"})
_TCP_NUMBER: Final = 6

Rule = Mapping[str, Any]  # the JSON boundary: libnftables-json(5)


def of_nftables(config: Config) -> Iterator[Check]:
    """A warning for each port that stations need and nobody can come through to."""
    ruleset = _ruleset()
    for key, port in ports(config) if ruleset else ():
        if is_shut(ruleset, port):
            advice = f'Add "tcp dport {port} accept" for the stations\' network (nft list ruleset shows what there is).'
            yield Check("warn", f"firewall: nftables lets nobody come to TCP {port} ({key})", advice)


def ports(config: Config) -> Iterator[tuple[str, int]]:
    """The ports that stations need, by the keys that name them; of a range its ends."""
    for key, address in config.listeners().items():
        if address.port and key != "admin.listen" and not is_loopback(address.host):
            yield key, address.port
    ftp = config.publish.ftp
    if ftp and ftp.passive_ports and not is_loopback(ftp.listen.host):
        for port in {ftp.passive_ports[0], ftp.passive_ports[-1]}:
            yield "publish.ftp.passive_ports", port


def is_shut(ruleset: Iterable[Rule], port: int) -> bool:
    """Whether some table drops what comes to a TCP port, and has no rule that could let it in."""
    found = list(ruleset)
    rules = [each["rule"] for each in found if "rule" in each]
    for chain in (each["chain"] for each in found if "chain" in each):
        if chain.get("hook") == "input" and chain.get("policy") == "drop" and chain["family"] in {"inet", "ip"}:
            table = (chain["family"], chain["table"])
            if not any(_may_pass(rule["expr"], port) for rule in rules if (rule["family"], rule["table"]) == table):
                return True
    return False


def _may_pass(expressions: list[Rule], port: int) -> bool:
    """Whether a rule can let in a first packet to that port; where it goes to another chain, that one's rules say."""
    known = {"match", "counter", "log", "limit", "comment", "accept", "drop", "reject", "jump", "goto", "return"}
    names = {name for each in expressions for name in each}
    if names <= known and "accept" not in names:
        return False
    return all(_agrees(each["match"], port) for each in expressions if "match" in each)


def _agrees(match: Rule, port: int) -> bool:
    """Whether a condition can hold of such a packet."""
    left, right = match["left"], match["right"]
    if match.get("op") not in {"==", "in"} or not isinstance(left, dict):
        return True
    payload, meta = left.get("payload", {}), left.get("meta", {}).get("key")
    if payload.get("field") == "dport":
        return payload.get("protocol") in _TCP and _holds(right, port)
    if payload.get("protocol") in {"udp", "icmp", "icmpv6"}:
        return False
    if meta == "l4proto" or (payload.get("protocol"), payload.get("field")) == ("ip", "protocol"):
        return _holds(right, "tcp") or _holds(right, _TCP_NUMBER)
    if left.get("ct", {}).get("key") == "state":
        return not set(_values(right)) <= _NOT_NEW
    return not (meta in {"iif", "iifname"} and right == "lo")


def _holds(right: object, value: int | str) -> bool:
    """Whether a value, a range, a set of both, or a set by its name (which might) has ``value``."""
    for each in _values(right):
        if isinstance(each, dict) and "range" in each:
            first, last = each["range"]
            if isinstance(value, int) and first <= value <= last:
                return True
        elif each == value or (isinstance(each, str) and each.startswith("@")):
            return True
    return False


def _values(right: object) -> list[Any]:
    found = right["set"] if isinstance(right, dict) and "set" in right else right
    return found if isinstance(found, list) else [found]


def _ruleset() -> list[Rule]:
    """Empty where there is no nftables, or we may not ask."""
    command = ("nft", "--json", "list", "ruleset")
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)  # noqa: S603  a constant
        return list(json.loads(done.stdout)["nftables"])
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError):
        return []
