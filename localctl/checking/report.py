"""What was found, as a person or a program reads it; ``say`` is the edge that prints it as it comes."""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

import click

from localctl.checking.verdict import Check
from localctl.saying import printable

_COLOURS: Final = {"ok": "green", "warn": "yellow", "FAIL": "red"}
_INDENT: Final = " " * 6


def say(checks: Iterable[Check], *, as_json: bool = False) -> int:
    """Print each as it is found, and how many there were; the exit status. Ctrl-C ends it with 130."""
    colour = is_coloured(os.environ, terminal=sys.stdout.isatty())
    found: list[Check] = []
    try:
        for check in checks:
            found.append(check)
            if not as_json:
                click.echo(line(check, colour=colour), color=colour)
    except KeyboardInterrupt:
        click.echo("localctl: stopped before all was tried", err=True)
        return 130
    click.echo(document(found) if as_json else summary(found))
    return 1 if any(check.verdict == "FAIL" for check in found) else 0


def line(check: Check, *, colour: bool = False) -> str:
    """A line, and below it what to do."""
    verdict = f"{check.verdict:<5}"
    if colour:
        verdict = click.style(verdict, fg=_COLOURS[check.verdict], bold=check.verdict != "ok")
    told = f"{verdict} {printable(check.what)}"
    return f"{told}\n{_INDENT}{printable(check.advice)}" if check.advice else told


def summary(checks: Iterable[Check]) -> str:
    """How many of each."""
    found = Counter(check.verdict for check in checks)
    return f"{found['ok']} ok, {_many(found['warn'], 'warning')}, {_many(found['FAIL'], 'failure')}"


def document(checks: Iterable[Check]) -> str:
    """All of it as one JSON object."""
    found = list(checks)
    rows = [{"verdict": check.verdict, "what": check.what, "advice": check.advice} for check in found]
    count = {verdict: sum(check.verdict == verdict for check in found) for verdict in _COLOURS}
    return json.dumps({"checks": rows, **count}, indent=2)


def is_coloured(environ: Mapping[str, str], *, terminal: bool) -> bool:
    """Whether colours are wanted, and understood (no-color.org)."""
    return terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
