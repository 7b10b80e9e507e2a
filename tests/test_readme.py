"""What the documents say of the code is true."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from localctl.errors import IllegalStep
from localctl.mirror import publication
from localctl.store.records import ENDED, Publication, Resume, State

ROOT = Path(__file__).resolve().parent.parent


def _events() -> Iterator[tuple[str, publication.Event]]:
    """Every event, with the words that tell its cases apart."""
    for kind in get_args(publication.Event):
        if kind is publication.Fetched:
            yield "Fetched, MD5 right", publication.Fetched("a", doubtful=False)
            yield "Fetched, MD5 wrong", publication.Fetched("b", doubtful=False)
            yield "Fetched in parts, MD5 wrong for the first time", publication.Fetched("b", doubtful=True)
        elif kind is publication.FetchFailed:
            yield "FetchFailed, tries left", publication.FetchFailed(final=False)
            yield "FetchFailed, final or no try left", publication.FetchFailed(final=True)
        else:
            yield kind.__name__, kind()


def diagram() -> Iterator[str]:
    """The lines of the state diagram, as the table has it."""
    yield "    [*] --> accepted"
    for state in State:
        before = Publication(1, 1, "", "a", "n", 3, None, 0.0, state, resume=Resume())
        for words, event in _events():
            try:
                after, _ = publication.step(before, event)
            except IllegalStep:
                continue
            yield f"    {state.value} --> {after.state.value}: {words}"
    for state in State:
        if state in ENDED:
            yield f"    {state.value} --> [*]"


def test_the_state_diagram_is_the_table() -> None:
    """The picture in localctl/README.md shows every step of the table, and no other."""
    text = (ROOT / "localctl" / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"```mermaid\nstateDiagram-v2\n(.*?)```", text, re.DOTALL)
    assert shown
    assert shown[1] == "\n".join(diagram()) + "\n"


def test_every_room_is_named() -> None:
    """localctl/README.md names every module of every room."""
    text = (ROOT / "localctl" / "README.md").read_text(encoding="utf-8")
    missing = [
        f"{path.parent.name}/{path.stem}"
        for path in (ROOT / "localctl").rglob("*.py")
        if not path.stem.startswith("__")
        and path.parent.name not in {"ocpp", "demo"}  # named as a whole
        and not re.search(rf"`(?:origins/)?{path.stem}(?:\.py)?`", text)
    ]
    assert missing == []


def test_the_direction_is_the_linters() -> None:
    """The layers drawn in localctl/README.md are those that import-linter holds."""
    configured = re.search(r"layers = \[\n(.*?)\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.DOTALL)
    assert configured
    layers = [line.strip(' ",') for line in configured[1].splitlines()]
    text = (ROOT / "localctl" / "README.md").read_text(encoding="utf-8")
    assert "```\n" + "\n".join(layers[1:]) + "\n```" in text  # all but __main__


def _anchors(path: Path) -> set[str]:
    """What a link may name behind ``#``: each heading as GitHub writes it there."""
    text = re.sub(r"^ *```.*?^ *```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", ["README.md", "deploy/README.md", "localctl/README.md", "tests/bench/README.md"])
def test_every_link_leads_somewhere(name: str) -> None:
    """Each link within the tree names a file that is there, and a heading of it."""
    document = ROOT / name
    links = re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", document.read_text(encoding="utf-8"))
    broken = []
    for path, anchor in links:
        if path.startswith(("http:", "https:")):
            continue
        target = document.parent / path if path else document
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(f"{path}#{anchor}")
    assert broken == []
