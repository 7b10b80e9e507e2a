"""Gathering an archive; against a real daemon in tests/commands/test_bundle.py."""

from pathlib import Path

import pytest

from localctl.bundle import collect, parts
from localctl.bundle.collect import gathered, source

NAMES = [
    "config.toml", "check.txt", "status.json", "metrics.txt", "log.txt", "service.txt", "listeners.txt", "state.txt",
    "versions.txt",
]  # fmt: skip


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that start programs, without them."""
    monkeypatch.setattr(parts, "checked", lambda _: "geheim-0 checked\n")
    monkeypatch.setattr(parts, "log", lambda: "geheim-1 logged\n")
    monkeypatch.setattr(parts, "service", lambda: "geheim-2 served\n")


def written(folder: Path, text: str) -> Path:
    """A configuration file."""
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.usefixtures("quick")
def test_each_part_is_there_or_a_note_of_why(tmp_path: Path) -> None:
    """Nothing runs and nothing is there: that is no error."""
    path = written(tmp_path, '[csms]\nurl = "ws://x"\n[admin]\nlisten = ""\n[controller]\nstate_dir = "/nowhere"\n')
    found = {part.name: part for part in gathered(source(path))}
    assert [name.removesuffix(".missing") for name in found] == NAMES
    assert (
        found["status.json.missing"].text
        == "no localctl answers at any address: admin.listen is empty, so nobody can be asked\n"
    )
    assert "/nowhere" in found["state.txt.missing"].text
    assert found["status.json.missing"].what == "the daemon's status: cannot be had"


@pytest.mark.usefixtures("quick")
def test_a_secret_is_known_wherever_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a file that is named, in a credential of systemd, in the file that setup makes, in the configuration."""
    (tmp_path / "named").write_text("geheim-0\n")
    (tmp_path / "admin").write_text("geheim-1")
    (tmp_path / "csms-password").write_text("geheim-2\r\n")
    monkeypatch.setattr(collect, "_CREDENTIALS", tmp_path)
    text = f'[csms]\nbasic_auth_password_file = "{tmp_path}/named"\n[admin]\npassword_file = "credential:admin"\n'
    found = list(gathered(source(written(tmp_path, text))))
    assert "geheim" not in str(found)
    assert "(removed) logged" in str(found)


@pytest.mark.usefixtures("quick")
def test_without_a_configuration(tmp_path: Path) -> None:
    """Why it cannot be read, and all the rest."""
    found = {part.name: part.text for part in gathered(source(tmp_path / "c.toml"))}
    assert found["config.toml.missing"] == f"{tmp_path}/c.toml cannot be read: No such file or directory\n"
    assert "localctl 0.1.0" in found["versions.txt"]
