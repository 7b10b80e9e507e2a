"""What the parts of `localctl check` are tried on."""

from collections.abc import Iterable

from localctl.checking.verdict import Check
from localctl.config import Config, parse


def config(url: str = "ws://csms.example/ocpp", **sections: dict[str, object]) -> Config:
    """The smallest configuration, with these sections over it."""
    csms = {"url": url} | sections.pop("csms", {})
    controller = {"identity": "LC-0001"} | sections.pop("controller", {})
    return parse({"controller": controller, "csms": csms} | sections, "c", {})


def lines(found: Iterable[Check]) -> list[str]:
    """Verdict and words of each; whatever is not ok has advice, and what is ok has none."""
    checks = list(found)
    assert not [check for check in checks if (check.verdict == "ok") == bool(check.advice)]
    return [f"{check.verdict} {check.what}" for check in checks]
