"""The table of messages in deploy/README.md: whatever localctl may complain of stands there, with what to do."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
TEXT: Final = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
LOGGED: Final = frozenset({"warning", "error", "exception", "critical"})
LEAST_WORDS: Final = 2  # of a cure


def told() -> dict[str, str]:
    """Each message of the table, and its cure."""
    [section] = re.findall(r"^## Messages, and what to do.*", TEXT, re.DOTALL | re.MULTILINE)
    return dict(re.findall(r"^\| `(.+?)` \| (.+) \|$", section, re.MULTILINE))


def logged() -> Iterator[tuple[str, str]]:
    """Where a warning or an error is logged, and its words; "…" stands for what differs."""
    for path in sorted((ROOT / "localctl").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in LOGGED
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id.lower().lstrip("_") == "log"
                and isinstance(node.args[0], ast.Constant)
            ):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", re.sub(r"%(\.\d+)?[a-z]", "…", str(node.args[0].value))


def raised() -> Iterator[tuple[str, str]]:
    """The same of the sentences of errors.py."""
    for node in ast.walk(ast.parse((ROOT / "localctl" / "errors.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr) and any(isinstance(part, ast.FormattedValue) for part in node.values):
            parts = (str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
            yield f"errors.py:{node.lineno}", "".join(parts)


def said() -> dict[str, str]:
    """Each message of the code that has words of its own, and where it is; without, it passes on another's."""
    messages = {words: place for place, words in (*logged(), *raised())}
    return {words: place for words, place in messages.items() if re.search("[a-z]{3}", words)}


def test_every_message_is_in_the_table() -> None:
    """Whoever searches the installation guide for a line of the log finds it, and what to do."""
    assert {words: place for words, place in said().items() if words not in told()} == {}


def test_table_tells_of_no_message_that_is_gone() -> None:
    """What stands in the table is said somewhere; "…: …" is a path and its fault."""
    assert set(told()) - set(said()) == {"…: …"}


def test_every_message_has_a_cure() -> None:
    """No line of the table leaves its reader alone."""
    assert [words for words, cure in told().items() if len(cure.split()) < LEAST_WORDS] == []
