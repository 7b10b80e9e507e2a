"""The tree that wheels make together."""

import zipfile
from pathlib import Path

import pytest

from deploy.package.wheels import PackageError, distribution, merge


def wheel(folder: Path, name: str, files: dict[str, str]) -> Path:
    """A wheel with these files."""
    path = folder / name
    with zipfile.ZipFile(path, "w") as archive:
        for entry, content in files.items():
            archive.writestr(entry, content)
    return path


def test_wheels_of_two_pythons_become_one_tree(tmp_path: Path) -> None:
    """Compiled modules stand side by side; what only a build or a test reads is left out, licences stay."""
    common = {"a/__init__.py": "1", "a/b.pyx": "", "a/b.pyi": "", "a-1.dist-info/METADATA": "Name: a"}
    common |= {"a-1.dist-info/licenses/LICENSE": "MIT", "a-1.data/scripts/a": ""}
    first = common | {"a/b.cpython-311-x86_64-linux-gnu.so": "11", "a-1.dist-info/RECORD": "11"}
    second = common | {"a/b.cpython-313-x86_64-linux-gnu.so": "13", "a-1.dist-info/RECORD": "13"}
    tree = tmp_path / "tree"
    merge([wheel(tmp_path, "one.whl", first), wheel(tmp_path, "two.whl", second)], tree)
    assert {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()} == {
        "a/__init__.py",
        "a/b.cpython-311-x86_64-linux-gnu.so",
        "a/b.cpython-313-x86_64-linux-gnu.so",
        "a-1.dist-info/METADATA",
        "a-1.dist-info/licenses/LICENSE",
    }


def test_wheels_that_differ_are_not_merged(tmp_path: Path) -> None:
    """A module that is another one for another Python would be wrong for one of them."""
    one, two = wheel(tmp_path, "one.whl", {"a.py": "1"}), wheel(tmp_path, "two.whl", {"a.py": "2"})
    with pytest.raises(PackageError, match=r"a\.py of two\.whl differs"):
        merge([one, two], tmp_path / "tree")


def test_a_wheel_tells_its_distribution() -> None:
    """In canonical form."""
    assert distribution(Path("pydantic_core-2.0-cp311-cp311-manylinux_2_17_x86_64.whl")) == "pydantic-core"
