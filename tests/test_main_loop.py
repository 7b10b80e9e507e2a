"""Which loop is chosen; that all works on it, the journeys prove."""

import asyncio
import sys
from types import SimpleNamespace

import pytest

from localctl import main_loop
from localctl.main_loop import CHOICE, loop_factory


@pytest.fixture(autouse=True)
def no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have made one."""
    monkeypatch.delenv(CHOICE, raising=False)


def test_without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asyncio's own; nothing is asked of the installer."""
    monkeypatch.setattr(main_loop, "find_spec", lambda _: None)
    assert loop_factory() is asyncio.SelectorEventLoop


def test_with_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is uvloop's; here a stand-in of that name."""
    monkeypatch.setattr(main_loop, "find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "uvloop", SimpleNamespace(new_event_loop=asyncio.new_event_loop))
    assert loop_factory() is asyncio.new_event_loop


def test_the_environment_has_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """For comparing the two; what is empty is no choice, and what is unknown is asyncio's own."""
    monkeypatch.setattr(main_loop, "find_spec", lambda name: name)
    for choice in ("asyncio", "another"):
        monkeypatch.setenv(CHOICE, choice)
        assert loop_factory() is asyncio.SelectorEventLoop
    monkeypatch.setenv(CHOICE, "")
    monkeypatch.setattr(main_loop, "find_spec", lambda _: None)
    assert loop_factory() is asyncio.SelectorEventLoop
