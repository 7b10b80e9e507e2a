"""The course of a setup; the whole of it, by flags and by a person, is in tests/commands/test_setup.py."""

import tomllib
from pathlib import Path

import pytest

from localctl.errors import ConfigurationError, SetupRefused
from localctl.setup.course import Wishes, set_up
from localctl.setup.interview import WrongAnswer

SITE: dict[str, str | bool] = {"csms_url": "ws://127.0.0.1:9/ocpp", "identity": "LC-7", "profile": "0"}
NOBODY = Wishes(person=False, yes=True, anew=False, check=None)
CAREFUL = Wishes(person=False, yes=False, anew=False, check=None)
ANEW = Wishes(person=False, yes=True, anew=True, check=None)


def names(folder: Path) -> list[str]:
    """What is in a folder, without what differs from day to day."""
    return sorted(path.name.partition(".bak-")[0] for path in folder.iterdir())


def test_the_check_s_status_is_the_command_s(tmp_path: Path) -> None:
    """It is run on what was written."""
    seen: list[Path] = []

    def check(path: Path) -> int:
        assert tomllib.loads(path.read_text())["controller"]["identity"] == "LC-7"
        seen.append(path)
        return 7

    path = tmp_path / "c.toml"
    assert set_up(path, SITE, Wishes(person=False, yes=True, anew=False, check=check)) == 7
    assert (seen, set_up(path, SITE, NOBODY)) == ([path], 0)


def test_a_second_time_nothing_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No copy is made where there is nothing to write; nor is leave asked for."""
    set_up(tmp_path / "c.toml", SITE, CAREFUL)
    set_up(tmp_path / "c.toml", {}, CAREFUL)
    assert names(tmp_path) == ["c.toml"]
    assert "nothing is written" in capsys.readouterr().out
    of_windows = (tmp_path / "c.toml").read_bytes().replace(b"\n", b"\r\n")
    (tmp_path / "c.toml").write_bytes(of_windows)
    set_up(tmp_path / "c.toml", {}, CAREFUL)
    assert (tmp_path / "c.toml").read_bytes() == of_windows
    assert names(tmp_path) == ["c.toml"]


def test_what_is_there_is_not_written_over_unasked(tmp_path: Path) -> None:
    """Without --yes nobody has agreed to it."""
    set_up(tmp_path / "c.toml", SITE, CAREFUL)
    before = (tmp_path / "c.toml").read_bytes()
    with pytest.raises(WrongAnswer, match="--yes is missing"):
        set_up(tmp_path / "c.toml", {"identity": "LC-8"}, CAREFUL)
    assert ((tmp_path / "c.toml").read_bytes(), names(tmp_path)) == (before, ["c.toml"])


def test_keys_that_are_not_asked_about_stay(tmp_path: Path) -> None:
    """So do comments; of the file there is a copy."""
    path = tmp_path / "c.toml"
    old = '# ours\n[controller]\nidentity = "LC-1"\n[csms]\nurl = "ws://x"\nmax_dials_per_second = 3  # slow\n'
    path.write_text(old)
    set_up(path, {"identity": "LC-7"}, NOBODY)
    assert path.read_text().startswith(old.replace("LC-1", "LC-7"))
    [copy] = [one for one in tmp_path.iterdir() if one != path]
    assert copy.read_text() == old


def test_a_file_that_is_no_toml_is_kept_and_begun_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only where somebody says so: what is wrong with it is told first."""
    path = tmp_path / "c.toml"
    path.write_text("[controller\n")
    with pytest.raises(ConfigurationError) as caught:
        set_up(path, SITE, NOBODY)
    assert "--anew" in caught.value.faults[0]
    assert "is not TOML" in capsys.readouterr().err
    assert set_up(path, SITE, ANEW) == 0
    assert names(tmp_path) == ["c.toml", "c.toml"]


def test_what_the_file_has_wrong_elsewhere_is_told(tmp_path: Path) -> None:
    """Nothing is written that the daemon would refuse; anew, the keys of the old file are gone."""
    path = tmp_path / "c.toml"
    path.write_text("[firmware]\nretires = 3\n")
    with pytest.raises(ConfigurationError) as caught:
        set_up(path, SITE, NOBODY)
    assert caught.value.faults[0].startswith(f"{path}: firmware.retires: is not a known key")
    assert set_up(path, SITE, ANEW) == 0


def test_what_cannot_be_changed_without_harm_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said, with both ways out."""
    from localctl.setup import course
    from localctl.setup.document import Unwritable

    def fail(*_: object) -> str:
        raise Unwritable

    monkeypatch.setattr(course, "rewritten", fail)
    with pytest.raises(SetupRefused, match=r"change it by hand, or begin anew .* --anew"):
        set_up(tmp_path / "c.toml", SITE, NOBODY)
    assert names(tmp_path) == []


def test_the_password_is_in_a_file_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither the configuration nor what is said holds it."""
    path = tmp_path / "c.toml"
    set_up(path, {**SITE, "profile": "1", "password": "gehéim-0815-geheim"}, NOBODY)
    assert (tmp_path / "csms-password").read_text(encoding="utf-8") == "gehéim-0815-geheim\n"
    assert (tmp_path / "csms-password").stat().st_mode & 0o777 == 0o640
    assert "0815" not in path.read_text(encoding="utf-8") + capsys.readouterr().out
    assert tomllib.loads(path.read_text())["csms"]["basic_auth_password_file"] == str(tmp_path / "csms-password")


def test_the_password_stays_where_no_copy_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy comes first: a configuration that stays keeps the password that goes with it."""
    path = tmp_path / "c.toml"
    secured = {**SITE, "profile": "1", "password": "geheim-0815-geheim"}
    set_up(path, secured, NOBODY)
    before = path.read_bytes()

    def full(*_: object) -> Path:
        raise SetupRefused("no room")

    monkeypatch.setattr("localctl.setup.writing.keep_copy", full)
    with pytest.raises(SetupRefused, match="no room"):
        set_up(path, {**secured, "password": "another-0815-geheim", "identity": "LC-8"}, NOBODY)
    assert path.read_bytes() == before
    assert (tmp_path / "csms-password").read_text() == "geheim-0815-geheim\n"
