"""The course of `localctl setup`: look, ask, show, write, check, say what is next. Edge."""

import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from localctl.config import DEFAULT_PATH
from localctl.errors import ConfigurationError, SetupRefused
from localctl.setup import machine, writing
from localctl.setup.document import Unwritable, rewritten
from localctl.setup.interview import WrongAnswer, interview, taken
from localctl.setup.outcome import Outcome, applied, beyond, doubts, faults, outcome
from localctl.setup.place import Answers, Place
from localctl.setup.terminal import Terminal
from localctl.setup.words import low_ports, next_steps, station_urls, summary

PASSWORD_FILE: Final = "csms-password"  # noqa: S105  its name


@dataclass(frozen=True, slots=True)
class Wishes:
    """How it is to be done. ``person``: somebody is there to be asked; ``yes``: nobody is to be."""

    person: bool
    yes: bool
    anew: bool
    check: Callable[[Path], int] | None


def set_up(path: Path, given: Answers, wishes: Wishes) -> int:
    """Make the configuration at ``path`` from ``given`` and from what is answered; the exit status of the check.

    Raises WrongAnswer, SetupRefused, ConfigurationError, click.Abort.
    """
    machine.writable(path)
    found = _found(path, wishes)
    text = machine.example() if found.text is None or wishes.anew else found.text
    before = tomllib.loads(text)
    _refuse(path, beyond(before))
    place = machine.place(machine.Found(None, {}) if wishes.anew else found)
    answers = _asked(given, place, wishes)
    password_file = path.absolute().with_name(PASSWORD_FILE)
    made = outcome(answers, place, str(password_file))
    wanted = applied(before, made)
    _refuse(path, faults(wanted))
    written = _rewritten(path, text, made)
    for line in (*summary(before, wanted, made), *doubts(answers)):
        click.echo(f"  {line}")
    _write(path, written, password_file, answers, wishes)
    status = wishes.check(path) if wishes.check else 0
    _say_next(path, wanted, place, status)
    return status


def _found(path: Path, wishes: Wishes) -> machine.Found:
    """What is there; a file that is no TOML counts as none once somebody has agreed to begin anew."""
    try:
        return machine.existing(path)
    except ConfigurationError as fault:
        if not wishes.anew:
            click.echo("\n".join(fault.faults), err=True)
            if not wishes.person or wishes.yes:
                line = f"{path}: cannot be kept as it is; mend it, or give --anew: a copy of it is kept"
                raise ConfigurationError((line,)) from None
            _agreed("Begin anew from the packaged example? A copy of this file is kept.", default=False)
        return machine.Found(None, {})


def _agreed(question: str, *, default: bool) -> None:
    """Raise SetupRefused where the person says no."""
    if not click.confirm(question, default=default):
        raise SetupRefused("nothing was written")


def _asked(given: Answers, place: Place, wishes: Wishes) -> Answers:
    if not wishes.person or wishes.yes:
        return interview(given, place, lambda question, answers: taken(question, answers, place))
    click.echo("Enter takes what stands in brackets; Ctrl-C ends this, and nothing is written.")
    answers = interview(given, place, Terminal(place).ask)
    click.echo()
    return answers


def _refuse(path: Path, wrong: tuple[str, ...]) -> None:
    """Nothing is asked, or written, that would end in a configuration that the daemon refuses."""
    if wrong:
        raise ConfigurationError(tuple(f"{path}: {line}" for line in wrong))


def _rewritten(path: Path, text: str, made: Outcome) -> str:
    try:
        return rewritten(text, made)
    except Unwritable:
        raise SetupRefused(
            f"{path} is written in a way that setup cannot change without harm: change it by hand, "
            "or begin anew from the packaged example by --anew (a copy of it is kept)"
        ) from None


def _write(path: Path, written: str, password_file: Path, answers: Answers, wishes: Wishes) -> None:
    """Write what differs from what is there, with a copy of it; somebody has agreed to that before."""
    before = path.read_bytes().decode(errors="surrogateescape") if path.exists() else None
    password = answers.get("password")
    if before == written and not password:
        click.echo(f"{path} says so already: nothing is written.")
        return
    replaced = before is not None and before != written
    if not wishes.yes:
        if wishes.person:
            copied = "; a copy of the file that is there is kept" if replaced else ""
            _agreed(f"Write {path}{copied}?", default=True)
        elif replaced:
            raise WrongAnswer(f"--yes is missing: {path} is there already (a copy of it is kept)")
    if replaced:
        click.echo(f"{writing.keep_copy(path, time.strftime('%Y%m%d-%H%M%S'))}: what was there before.")
    if password:
        writing.write(password_file, f"{password}\n")
        click.echo(f"{password_file}: the password is written.")
    if before != written:
        writing.write(path, written)
        click.echo(f"{path}: written.")


def _say_next(path: Path, tree: Mapping[str, Any], place: Place, status: int) -> None:
    click.echo()
    for line in next_steps(path, DEFAULT_PATH, status, machine.service(), low=low_ports(tree)):
        click.echo(line)
    address = str(tree.get("publish", {}).get("host") or next(iter(place.addresses), "GATEWAY"))
    for url in station_urls(tree, address):
        click.echo(f"Stations are given: {url}  (IDENTITY: each station's own)")
