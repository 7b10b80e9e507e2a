"""`localctl setup`: its flags, one a question, and who answers."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from localctl.commands.options import CONFIG
from localctl.setup.place import Answer
from localctl.setup.questions import PROFILES, QUESTIONS, Question

_METAVARS: Final = {"text": "TEXT", "file": "PATH", "secret": "PATH"}
_WORDS: Final = {
    "password": "A file with the password of this controller, or - for a line of stdin.",
    "low_ports": "Firmware on 80 and 21 (443 for HTTPS), which localctl.socket hands over; else 8080, 2121, 8444.",
    "ws": "Whether stations may come without TLS as well.",
    "host": 'Address of this gateway on the stations\' LAN; "auto": found anew at each start.',
    "http_port": "Port of firmware over HTTP.",
    "ftp_port": "Port of firmware over FTP.",
    "https_port": "Port of firmware over HTTPS.",
    "csms_key": "The key of --csms-cert.",
    "wss_key": "The key of --wss-cert.",
    "https_key": "The key of --https-cert.",
}


def _flags(function: Callable[..., None]) -> Callable[..., None]:
    """A flag for each question, in their order."""
    for question in reversed(QUESTIONS):
        function = _flag(question)(function)
    return function


def _flag(question: Question) -> Callable[[Callable[..., None]], Callable[..., None]]:
    text = _WORDS.get(question.name, f"{question.asks}.")
    if question.kind == "yes":
        return click.option(f"{question.flag}/--no-{question.flag[2:]}", question.name, default=None, help=text)
    kind = click.Choice(PROFILES) if question.kind == "choice" else None
    return click.option(question.flag, question.name, type=kind, metavar=_METAVARS.get(question.kind), help=text)


@click.command()
@CONFIG
@_flags
@click.option("--yes", is_flag=True, help="Ask nothing: take the defaults, and write over the file that is there.")
@click.option("--anew", is_flag=True, help="Begin with the packaged example instead of the file that is there.")
@click.option("--offline", is_flag=True, help="Leave out of the check what needs the network.")
@click.option("--no-check", is_flag=True, help="Leave out the check.")
@click.pass_context
def command(
    context: click.Context, /, path: Path, *, yes: bool, anew: bool, offline: bool, no_check: bool, **given: Any
) -> None:
    """Ask what an installer knows, write the configuration, and check it.

    Each question is a flag as well: with all of them, or without a terminal, nothing is asked. What is not asked about
    stays as it is in the file; of the file that is there a copy is kept. Exit status: as check; 2 where an answer is
    missing.
    """
    from localctl.setup.course import Wishes, set_up
    from localctl.setup.interview import WrongAnswer

    context.color = False if os.environ.get("NO_COLOR") else None
    person = sys.stdin.isatty() and sys.stdout.isatty()
    wishes = Wishes(person, yes, anew, None if no_check else lambda path: _checked(context, path, offline=offline))
    try:
        sys.exit(set_up(path, _answers(given), wishes))
    except WrongAnswer as fault:
        raise click.UsageError(str(fault)) from None


def _answers(given: dict[str, Any]) -> dict[str, Answer]:
    """What the flags say, with whole paths and the password itself."""
    from localctl.setup.terminal import whole_path

    kinds = {question.name: question.kind for question in QUESTIONS}
    answers: dict[str, Answer] = {}
    for name, value in given.items():
        if value is None:
            continue
        if kinds[name] == "secret":
            answers[name] = _password(value)
        else:
            answers[name] = whole_path(value) if kinds[name] == "file" else value
    return answers


def _password(source: str) -> str:
    """What a file holds, or a line of stdin, where a terminal does not show it."""
    if source == "-" and sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, err=True))
    try:
        content = sys.stdin.buffer.readline() if source == "-" else Path(source).read_bytes()
        password = content.decode().rstrip("\r\n")
    except OSError as fault:
        raise click.UsageError(f"--password-file: {source} cannot be read: {fault.strerror}") from None
    except UnicodeDecodeError:
        raise click.UsageError("--password-file: the password is not UTF-8 text") from None
    if not password:
        raise click.UsageError("--password-file: the password is empty")
    return password


def _checked(context: click.Context, path: Path, *, offline: bool) -> int:
    """Run `localctl check`, as a command of its own does; its exit status."""
    group = context.find_root().command
    check = group.get_command(context, "check") if isinstance(group, click.Group) else None
    if check is None:
        return 0
    click.echo()
    try:
        check.main([f"--config={path}", *["--offline"] * offline], "localctl check", standalone_mode=False)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0
