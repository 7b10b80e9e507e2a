"""The files of a configuration, and who can read them."""

import os
from pathlib import Path

from localctl.checking.access import User
from localctl.checking.files import inline, named, of_files
from tests.checking.site import config, lines


def test_files_that_are_named() -> None:
    """Each by its key, down to the last section; what systemd passes is left out."""
    found = config(
        "wss://csms.example",
        csms={"ca_file": "/ca", "cert_file": "/c", "key_file": "/run/credentials/localctl.service/k"},
        stations={"wss": {"cert_file": "/s", "key_file": "/t"}},
    )
    assert dict(named(found)) == {
        "csms.ca_file": "/ca",
        "csms.cert_file": "/c",
        "stations.wss.cert_file": "/s",
        "stations.wss.key_file": "/t",
    }


def test_a_secret_that_everyone_can_read(tmp_path: Path) -> None:
    """A key, and a configuration with a password in it; one without is nobody's secret."""
    key, own = tmp_path / "key", tmp_path / "config.toml"
    for path in (key, own):
        path.write_text("x")
        path.chmod(0o644)
    found = config(csms={"cert_file": "/c", "key_file": str(key), "basic_auth_password": "geheim-0815"})
    told = lines(of_files(found, own, None))
    assert told == [
        f"warn csms.key_file: {key} can be read by everyone",
        f"warn configuration: {own} can be read by everyone",
    ]
    assert list(inline(found)) == ["basic_auth_password"]
    own.chmod(0o640)
    key.chmod(0o640)
    assert not lines(of_files(found, own, None))
    own.chmod(0o644)
    assert not lines(of_files(config(), own, None))


def test_a_password_in_a_file_of_its_own_is_not_in_the_configuration(tmp_path: Path) -> None:
    """It has been read into the same key, and yet the configuration may be read by all."""
    secret = tmp_path / "secret"
    secret.write_text("geheim-0815")
    assert not list(inline(config(csms={"basic_auth_password_file": str(secret)})))


def test_what_the_daemon_s_user_cannot_read_fails(tmp_path: Path) -> None:
    """Root finds every file readable; the daemon does not run as root. A file that is missing is told elsewhere."""
    roots, own = tmp_path / "roots.pem", tmp_path / "config.toml"
    for path in (roots, own):
        path.write_text("x")
        path.chmod(0o600)
    somebody = User("somebody", os.getuid() + 4711, frozenset())
    found = config(firmware={"ca_file": str(roots)})
    assert lines(of_files(found, own, somebody)) == [
        f"FAIL configuration: {own} cannot be read by somebody, as whom the daemon runs",
        f"FAIL firmware.ca_file: {roots} cannot be read by somebody, as whom the daemon runs",
    ]
    assert not lines(of_files(found, own, User("root", 0, frozenset())))
    roots.unlink()
    assert len(lines(of_files(found, None, somebody))) == 0
