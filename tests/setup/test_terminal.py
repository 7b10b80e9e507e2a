"""Asking on a terminal; what a person sees is in tests/commands/test_setup.py."""

from pathlib import Path

import pytest

from localctl.setup.terminal import whole_path


@pytest.mark.parametrize("text", ["", " ", "none"])
def test_no_file(text: str) -> None:
    """Empty, or said."""
    assert whole_path(text) == ""


def test_a_path_is_from_the_root_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The daemon does not start where the installer stands, nor is their home its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert whole_path(" a/../b.pem ") == str(tmp_path / "b.pem")
    assert whole_path("~/b.pem") == "/home/me/b.pem"
