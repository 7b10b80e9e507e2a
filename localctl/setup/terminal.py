"""Asking on a terminal: a question with its explanation, and again where the answer cannot be. Edge."""

import os
from pathlib import Path
from typing import Final

import click

from localctl.setup.interview import proposed
from localctl.setup.outcome import complaint
from localctl.setup.place import Answer, Answers, Place
from localctl.setup.questions import PROFILES, Question

NONE: Final = "none"  # as an answer: no file, where one is proposed


class Terminal:
    """Answers by a person; ``place`` is what is proposed to them."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def ask(self, question: Question, answers: Answers) -> Answer:
        """The answer, once it is one that can be. Raises click.Abort where the person gives up."""
        click.echo()
        for line in question.why.splitlines():
            click.secho(line, dim=True)
        if question.name == "host" and len(self._place.addresses) > 1:
            click.secho(f"This machine has several: {', '.join(self._place.addresses)}.", dim=True)
        while True:
            answer = self._answer(question, answers)
            fault = complaint(question, {**answers, question.name: answer}, self._place)
            if fault:
                click.secho(f"That cannot be: {fault}", fg="red")
            elif question.kind != "file" or not answer or _is_usable(str(answer)):
                return answer

    def _answer(self, question: Question, answers: Answers) -> Answer:
        default = proposed(question, answers, self._place)
        if question.kind == "yes":
            return click.confirm(f"{question.asks}?", default=bool(default))
        if question.kind == "secret":
            return _secret(question.asks, present=default is not None)
        shown = default if default not in {None, ""} else None
        kind = click.Choice(PROFILES) if question.kind == "choice" else None
        text = click.prompt(question.asks, default=default, show_default=shown is not None, type=kind)
        answer = str(text).strip()
        return whole_path(answer) if question.kind == "file" else answer


def whole_path(text: str) -> str:
    """The path of a file from the root on: the daemon does not start in this folder. Empty for none."""
    return "" if text.strip() in {"", NONE} else os.path.abspath(Path(text.strip()).expanduser())  # noqa: PTH100  no link is to be followed


def _secret(asks: str, *, present: bool) -> str:
    """A password, typed twice; empty keeps the present one, where there is one."""
    asks += " (Enter keeps the present one)" * present
    while True:
        first = click.prompt(asks, hide_input=True, default="" if present else None, show_default=False)
        if not first or click.prompt("The same again", hide_input=True) == first:
            return str(first)
        click.secho("The two differ.", fg="red")


def _is_usable(path: str) -> bool:
    """Whether the file can be read, or is wanted all the same: it may come later."""
    try:
        with Path(path).open("rb"):
            return True
    except OSError as fault:
        click.secho(f"{path} cannot be read: {fault.strerror}", fg="red")
    return click.confirm("Name it all the same?", default=False)
