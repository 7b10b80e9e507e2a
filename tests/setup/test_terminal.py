"""Asking on a terminal; what a person sees is in tests/commands/test_setup.py."""

from pathlib import Path

import pytest

from localctl.setup.place import Place
from localctl.setup.questions import QUESTIONS
from localctl.setup.terminal import Terminal, whole_path


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


def test_a_password_that_is_typed_wrong_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for in the same words as before."""
    answers = iter(("one", "two", "three", "three"))
    asked: list[str] = []

    def prompt(text: str, **_: object) -> str:
        asked.append(text)
        return next(answers)

    monkeypatch.setattr("click.prompt", prompt)
    place = Place({"csms": {"url": "ws://csms", "basic_auth_password": "present"}}, "gw", (), False)
    [question] = [each for each in QUESTIONS if each.kind == "secret"]
    assert Terminal(place).ask(question, {"profile": "1"}) == "three"
    once = "Password of this controller (Enter keeps the present one)"
    assert asked == [once, "The same again", once, "The same again"]
