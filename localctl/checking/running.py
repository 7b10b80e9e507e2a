"""Whether the daemon of this configuration runs, found without disturbing it, and what it tells of itself. Edge."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localctl.checking.holders import lock_holder
from localctl.checking.patience import within
from localctl.checking.verdict import Check
from localctl.config import Config
from localctl.errors import LocalctlError
from localctl.inquiry import Document, ask_status, bound

_PATIENCE_SECONDS: Final = 3


@dataclass(frozen=True, slots=True)
class Running:
    """A daemon that runs. ``status`` is its document, empty where it does not answer; ``pid`` None where nobody tells;
    ``listeners`` the addresses that it has, by their sections ("stations.ws").
    """

    status: Document
    pid: int | None
    listeners: dict[str, str]


def find(config: Config) -> Running | None:
    """The daemon that answers with our identity, or has our state directory."""
    pid = lock_holder(Path(config.controller.state_dir) / "lock")
    try:
        status = within(_PATIENCE_SECONDS, lambda: ask_status(config))
    except (LocalctlError, TimeoutError):
        status = {}
    if pid is None and status.get("identity") != config.controller.identity:
        status = {}  # another one's
    if not status and pid is None:
        return None
    return Running(status, pid, status.get("listeners") or _written(config))


def about(running: Running, config: Config) -> Check:
    """How it is."""
    process = f"localctl: it runs (process {running.pid})" if running.pid else "localctl: it runs"
    if running.status:
        identity = running.status.get("identity")
        if identity != config.controller.identity:
            advice = "The configuration was changed since: systemctl restart localctl."
            return Check("warn", f"{process} under the identity {identity}", advice)
        if running.status.get("ready"):
            return Check("ok", f"{process} and is ready")
        reasons = "; ".join(running.status.get("reasons", ()))
        return Check("warn", f"{process} and is not ready: {reasons}", "Its log tells more (journalctl -u localctl).")
    if config.admin.listen is None:
        return Check("ok", f"{process}; it cannot be asked, for admin.listen is empty")
    advice = "Was admin.listen changed since it started (systemctl restart localctl)? Else see journalctl -u localctl."
    return Check("warn", f"{process} and does not answer at admin.listen, {config.admin.listen}", advice)


def _written(config: Config) -> dict[str, str]:
    try:
        told = bound(config)
    except (OSError, ValueError):
        return {}
    return {name: address for name, address in told.items() if address.rpartition(":")[2].isdecimal()}
