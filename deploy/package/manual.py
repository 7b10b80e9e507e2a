"""The man page and the completions of the command line, from click, so that they are never stale.

Run by the build with a tree of the package: ``python -IS manual.py TREE OUT SECONDS``. SECONDS date the page.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import click

_FILES: Final = (
    ("/etc/localctl/config.toml", "The configuration; each key is explained in it."),
    ("/var/lib/localctl", "Published files and the database, where controller.state_dir names no other."),
    ("/run/localctl/localctl.sock", "Where localctl publish and unpublish reach the daemon."),
    ("/usr/share/doc/localctl/sbom.cdx.json", "What the package carries: versions, hashes, licences (CycloneDX)."),
)
_STATUSES: Final = (
    ("0", "Done; of status: ready."),
    ("1", "Not done; of status: running, but not ready; of check: something failed."),
    ("2", "Wrong usage."),
    ("3", "The daemon is not running."),
    ("4", "Of unpublish: nothing is published under this MD5."),
    ("78", "The configuration is wrong."),
)


def roff(text: str) -> str:
    """Plain text, escaped; a dash is a dash, and a line is no request."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("\b", "")
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in escaped.splitlines())


def page(command: "click.Group", name: str, version: str, date: str) -> str:
    """The whole manual."""
    import click

    context = click.Context(command, info_name=name)
    lines = [
        f'.TH {name.upper()} 1 "{date}" "{name} {version}" "User Commands"',
        ".SH NAME",
        f"{name} \\- OCPP Local Controller for the gateway of an EV charging site",
        ".SH SYNOPSIS",
        f".B {name}",
        "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGS\\fR]",
        ".SH DESCRIPTION",
        roff(command.help or ""),
        ".SH COMMANDS",
    ]
    for each in command.list_commands(context):
        found = command.get_command(context, each)
        if found and not found.hidden:
            lines += _section(found, click.Context(found, info_name=each, parent=context))
    lines += [".SH ENVIRONMENT", ".TP", ".B LOCALCTL_CONFIG", "The configuration file, where \\-\\-config names none."]
    lines += [".SH FILES", *_table(_FILES), ".SH EXIT STATUS", *_table(_STATUSES)]
    lines += [".SH SEE ALSO", ".BR systemctl (1),", ".BR journalctl (1),", "/usr/share/doc/localctl/README.md.gz"]
    return "\n".join(lines) + "\n"


def _section(command: "click.Command", context: "click.Context") -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".SS {roff(f'{context.info_name} {usage}'.strip())}"
    for paragraph in (command.help or "").replace("\f", "").split("\n\n"):
        yield roff(" ".join(paragraph.split()))
        yield ".PP"
    for param in command.get_params(context):
        if record := param.get_help_record(context):
            yield from _table([record])


def _table(rows: "tuple[tuple[str, str], ...] | list[tuple[str, str]]") -> Iterator[str]:
    for term, meaning in rows:
        yield from (".TP", f"\\fB{roff(term)}\\fR", roff(" ".join(meaning.split())))


def completions(command: "click.Group", name: str) -> dict[str, str]:
    """The script for each shell, by the path where Debian looks for it."""
    from click.shell_completion import FishComplete, ShellComplete, ZshComplete, get_completion_class

    bash = get_completion_class("bash")
    places: dict[str, type[ShellComplete] | None] = {
        f"usr/share/bash-completion/completions/{name}": bash,
        f"usr/share/zsh/vendor-completions/_{name}": ZshComplete,
        f"usr/share/fish/vendor_completions.d/{name}.fish": FishComplete,
    }
    return {
        path: ShellComplete.source(made(command, {}, name, f"_{name.upper()}_COMPLETE"))
        for path, made in places.items()
        if made
    }


def main(tree: str, out: str, seconds: str) -> None:
    """Write them below ``out``."""
    sys.path.append(tree)
    from importlib.metadata import version

    from localctl.cli import commands

    date = datetime.fromtimestamp(int(seconds), UTC).date().isoformat()
    written = completions(commands, "localctl")
    written["usr/share/man/man1/localctl.1"] = page(commands, "localctl", version("localctl"), date)
    for name, text in written.items():
        path = Path(out, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
