"""What differs between two configurations, and what of it a running daemon can take over. Rules: no I/O.

The tables name sections or keys; each key of the configuration is in exactly one of them, by itself or by its section.
A listener that comes or goes is named by its section, and takes a restart. What proves who somebody is waits for what
it belongs to: no password goes to a CSMS that it is not for, and no door stands open until the new roots count. Only
names are told, never values: one of them is a password.
"""

from dataclasses import dataclass
from typing import Any, Final, TypeVar

from localctl.section import Section
from localctl.sections import Config

S = TypeVar("S", bound=Section)

LIVE: Final = frozenset(
    {
        "csms.ocpp_versions",
        "csms.basic_auth_password",
        "csms.basic_auth_password_file",
        "csms.connect_timeout_seconds",
        "csms.call_timeout_seconds",
        "csms.ping_interval_seconds",
        "csms.retry_backoff_wait_minimum_seconds",
        "csms.retry_backoff_random_range_seconds",
        "csms.retry_backoff_repeat_times",
        "csms.max_dials_per_second",
        "csms.compression",
        "stations.ocpp_versions",
        "stations.allowed_identities",
        "stations.authentication",
        "stations.password_file",
        "stations.max_stations",
        "stations.max_message_size",
        "stations.ping_interval_seconds",
        "stations.wss.certificate_identity",
        "stations.wss.serials",
        "firmware",
        "publish.host",
        "publish.allowed_networks",
        "publish.idle_timeout_seconds",
        "publish.max_transfers",
        "publish.max_transfers_per_address",
        "publish.ftp.passive_ports",
        "admin.password",
        "admin.password_file",
        "admin.per_station_metrics",
        "log",
    }
)
RESTART: Final = frozenset(
    {
        "controller",  # who we are, and where everything lies
        "csms.url",
        "csms.ca_file",  # paths of certificates: what lies there is renewed while we run
        "csms.cert_file",
        "csms.key_file",
        "stations.ws",
        "stations.wss.listen",
        "stations.wss.cert_file",
        "stations.wss.key_file",
        "stations.wss.rsa_cert_file",
        "stations.wss.rsa_key_file",
        "stations.wss.client_ca_file",
        "stations.wss.min_tls",
        "publish.http",
        "publish.https",
        "publish.ftp.listen",
        "publish.ftp.cert_file",
        "publish.ftp.key_file",
        "admin.listen",
    }
)
WITH: Final = (  # where what begins so takes a restart, these take it as well
    (("csms.", "controller.identity"), ("csms.basic_auth_password", "csms.basic_auth_password_file")),
    (
        ("stations.",),
        (
            "stations.authentication",
            "stations.password_file",
            "stations.wss.certificate_identity",
            "stations.wss.serials",
        ),
    ),
    (("admin.listen",), ("admin.password", "admin.password_file")),
)


@dataclass(frozen=True, slots=True)
class Changes:
    """The dotted keys that differ, and the configuration that is in use once those that are ``live`` are."""

    live: tuple[str, ...]
    restart: tuple[str, ...]
    config: Config


def changes(used: Config, found: Config) -> Changes:
    """What ``found`` changes of ``used``."""
    keys = _differing(used, found, "")
    held = _held([key for key in keys if not is_live(key)])
    live = tuple(key for key in keys if key not in held)
    return Changes(live, tuple(key for key in keys if key in held), _merged(used, found, "", frozenset(live)))


def is_live(key: str) -> bool:
    """Whether that key, of which the tables know, can be taken over while we run."""
    return key in LIVE or key.rpartition(".")[0] in LIVE


def _held(restart: list[str]) -> frozenset[str]:
    """Those keys, and what has to wait with them."""
    waiting = [names for begins, names in WITH if any(key.startswith(begins) for key in restart)]
    return frozenset(restart).union(*waiting)


def _differing(used: Section, found: Section, prefix: str) -> list[str]:
    keys: list[str] = []
    for name in type(used).model_fields:
        one, other = getattr(used, name), getattr(found, name)
        if isinstance(one, Section) and isinstance(other, Section):
            keys += _differing(one, other, f"{prefix}{name}.")
        elif one != other:
            keys.append(f"{prefix}{name}")
    return keys


def _merged(used: S, found: S, prefix: str, live: frozenset[str]) -> S:
    """``used``, with those keys of ``found``."""
    taken: dict[str, Any] = {}  # pydantic's update takes values of any kind
    for name in type(used).model_fields:
        one, other = getattr(used, name), getattr(found, name)
        if isinstance(one, Section) and isinstance(other, Section):
            taken[name] = _merged(one, other, f"{prefix}{name}.", live)
        elif f"{prefix}{name}" in live:
            taken[name] = other
    return used.model_copy(update=taken)
