import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
MOST_LINES: Final = 300

# Modules of localctl that no test file of the same name stands beside, and why none should.
WITHOUT: Final[Mapping[str, str]] = {
    "__main__.py": "hands over to cli.py and does nothing else",
    "admin/views.py": "names what is given to the room; it has nothing to do",
    "mirror/origins/sink.py": "one Protocol",
}


def modules() -> Iterator[Path]:
    """Every module of localctl that holds code, relative to it."""
    for path in sorted((ROOT / "localctl").rglob("*.py")):
        if path.name != "__init__.py":
            yield path.relative_to(ROOT / "localctl")


def test_every_module_has_its_test() -> None:
    """localctl/a/b.py is tested by tests/a/test_b.py, and what is excused exists and has none."""
    tested = {
        module.as_posix(): (ROOT / "tests" / module.parent / f"test_{module.name}").exists() for module in modules()
    }
    assert [module for module, has_test in tested.items() if not has_test and module not in WITHOUT] == []
    assert [module for module in WITHOUT if tested.get(module, True)] == []


def test_every_test_says_what_it_proves() -> None:
    """Each test function opens with a sentence."""
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not (ast.get_docstring(node) or "").strip()
    ]
    assert silent == []


def test_no_module_is_too_long() -> None:
    """A module of localctl stays readable at one sitting."""
    lengths = {
        module.as_posix(): len((ROOT / "localctl" / module).read_text(encoding="utf-8").splitlines())
        for module in modules()
    }
    assert {module: length for module, length in lengths.items() if length > MOST_LINES} == {}


def test_every_folder_of_tests_is_a_package() -> None:
    """Test files of one name in two folders are told apart by their packages."""
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py")}
    assert [str(folder.relative_to(ROOT)) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []
