"""The lock files: whole, hashed, and what pyproject.toml asks for."""

import tomllib
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.package.lock import Locked, needed, parse
from deploy.package.targets import PYTHONS, TARGETS

ROOT: Final = Path(__file__).parents[3]
LOCKED: Final = parse((ROOT / "deploy/requirements.lock").read_text(encoding="utf-8"))
TOOLS: Final = parse((ROOT / "deploy/package/tools.lock").read_text(encoding="utf-8"))
TEXT: Final = f"""\
# made by something
one==1.0 \\
    --hash=sha256:{"a" * 64} \\
    --hash=sha256:{"b" * 64}
    # via two
Two_x==2.0 ; python_full_version >= '3.12' \\
    --hash=sha256:{"c" * 64}
"""


def unsatisfied(locked: list[Locked], wanted: list[str]) -> list[str]:
    """What is wanted, and is not there in a version that fits."""
    versions = {each.name: each.version for each in locked}
    return [
        str(each)
        for each in map(Requirement, wanted)
        if not each.specifier.contains(versions.get(canonicalize_name(each.name), "0"), prereleases=True)
        or canonicalize_name(each.name) not in versions
    ]


def test_lock_satisfies_pyproject() -> None:
    """Each dependency is locked in a version that pyproject.toml allows; else: sh deploy/lock.sh."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    assert unsatisfied(LOCKED, wanted) == []


def test_lock_of_the_tools_satisfies_their_list() -> None:
    """Each tool that the build names is locked; else: sh deploy/lock.sh."""
    lines = (ROOT / "deploy/package/tools.in").read_text(encoding="utf-8").splitlines()
    assert unsatisfied(TOOLS, [text for line in lines if (text := line.partition("#")[0].strip())]) == []


@pytest.mark.parametrize("locked", [LOCKED, TOOLS], ids=["requirements.lock", "tools.lock"])
def test_everything_has_hashes_and_one_version(locked: list[Locked]) -> None:
    """Nothing can be installed that was not there when the file was made."""
    assert [each.name for each in locked if not each.hashes or "==" not in str(each.requirement.specifier)] == []


def test_parse_reads_what_is_generated() -> None:
    """Comments, continued lines, markers and names in any form."""
    one, two = parse(TEXT)
    assert (one.name, one.version, one.hashes) == ("one", "1.0", frozenset({"a" * 64, "b" * 64}))
    assert (two.name, two.line) == ("two-x", f"two-x==2.0 --hash=sha256:{'c' * 64}")


def test_markers_are_those_of_the_target() -> None:
    """What only a later Python needs is left out for an earlier one, whichever Python asks."""
    assert [each.name for each in needed(parse(TEXT), "3.11", "x86_64")] == ["one"]
    assert [each.name for each in needed(parse(TEXT), "3.12", "armv7l")] == ["one", "two-x"]


def test_what_is_left_out_is_in_the_lock() -> None:
    """A name that is excused, or had from Debian, is one that would be needed."""
    names = {each.name for python in PYTHONS for each in needed(LOCKED, python, "x86_64")}
    for target in TARGETS.values():
        assert {*target.from_debian, *target.left_out} <= names
