"""How the trial of the package looks at the machine that it is on; the trial itself is deploy/try-package.sh."""

import sys
from pathlib import Path

import pytest

from deploy.package.gateway import WrongStep, differences, digest, must, run


def test_what_came_went_or_changed_is_told() -> None:
    """In the order of the paths; what is as it was is not."""
    before = {"/etc/a": "1", "/etc/b": "1", "/etc/c": "1"}
    assert differences(before, {"/etc/b": "2", "/etc/c": "1", "/etc/0": ""}) == ["+ /etc/0", "- /etc/a", "! /etc/b"]


def test_a_link_is_where_it_leads(tmp_path: Path) -> None:
    """A unit that is enabled is a link to nowhere after a removal; a folder holds nothing of its own."""
    (tmp_path / "unit").symlink_to("/nowhere")
    (tmp_path / "one").write_text("1")
    (tmp_path / "two").write_text("2")
    assert digest(tmp_path / "unit") == "/nowhere"
    assert digest(tmp_path / "one") != digest(tmp_path / "two")
    assert digest(tmp_path) == ""


async def test_a_command_that_fails_ends_the_trial() -> None:
    """With what it said; unless any end is right."""
    line = (sys.executable, "-c", "print('no'); raise SystemExit(3)")
    with pytest.raises(WrongStep, match=r"ends with 3\nno$"):
        await run(*line)
    assert ((await run(*line, status=None)).status, (await run(*line, status=3)).said) == (3, "no")
    with pytest.raises(WrongStep, match="colour: 'red' instead of 'green'"):
        must("red", "green", "colour")
