"""Credentials of systemd in a configuration that is checked."""

from pathlib import Path

import pytest

from localctl.checking.credentials import loaded, of_unread
from localctl.errors import ConfigurationError

CONFIG = """
[controller]
identity = "LC-0001"
[csms]
url = "ws://127.0.0.1:9/ocpp"
basic_auth_password_file = "credential:csms"
[admin]
password_file = "ADMIN"
"""


def written(folder: Path, admin: str) -> Path:
    """A configuration whose CSMS password is a credential."""
    path = folder / "config.toml"
    path.write_text(CONFIG.replace("ADMIN", admin))
    return path


def test_one_that_may_be_read_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the service runs root finds it, in the place that systemd has for it or that the environment names."""
    path = written(tmp_path, "")
    (tmp_path / "csms").write_text("geheim-0815\n")
    found = loaded(path, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert found.config.csms.basic_auth_password.get_secret_value() == "geheim-0815"
    monkeypatch.setattr("localctl.checking.credentials.SERVICE_CREDENTIALS", str(tmp_path))
    assert loaded(path, {}) == found
    assert found.unread == ()


def test_one_that_is_not_there_is_no_fault_of_the_configuration(tmp_path: Path) -> None:
    """It is left out and told, and every other secret is read, or is a fault as ever."""
    (tmp_path / "admin").write_text("geheim-4711")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / "nowhere")}
    found = loaded(written(tmp_path, str(tmp_path / "admin")), environ)
    assert found.config.csms.basic_auth_password_file == ""
    assert found.config.admin.password.get_secret_value() == "geheim-4711"
    [told] = of_unread(found.unread)
    assert told.verdict == "warn"
    assert told.what.startswith("csms.basic_auth_password_file: only the running service has this credential")
    with pytest.raises(ConfigurationError, match=r"admin\.password_file"):
        loaded(written(tmp_path, "/nowhere/admin"), environ)
