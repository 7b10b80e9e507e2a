"""A certificate that is replaced on disk is shown without a restart."""

import logging
import os
import ssl
from pathlib import Path

import pytest
import trustme

from localctl.errors import ConfigurationError
from localctl.serve import renewal
from localctl.serve.http import HttpServer
from localctl.serve.renewal import Files
from localctl.values import Address
from tests.serve.conftest import PATIENCE_SECONDS, Shop, read_all, until


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Two files, watched."""
    (tmp_path / "c.pem").write_text("1")
    (tmp_path / "c.key").write_text("1")
    return Files("publish.https", str(tmp_path / "c.pem"), str(tmp_path / "c.key"))


@pytest.fixture
def serving(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> tuple[HttpServer, Address]:
    """An HTTPS server that looks often."""
    monkeypatch.setattr(renewal, "LOOK_SECONDS", 0.02)
    shop.scheme = "https"
    return shop.http()


def shown(address: Address) -> str:
    """The certificate that a new connection is shown."""
    return ssl.get_server_certificate((address.host, address.port), timeout=PATIENCE_SECONDS)


def test_what_is_left_alone_has_not_changed(files: Files) -> None:
    """Nothing is loaded again that is as it was."""
    assert [files.have_changed() for _ in range(3)] == [False, False, False]


def test_a_change_is_told_once_it_has_settled(files: Files) -> None:
    """Between the two files of one renewal nothing is loaded; then once."""
    Path(files.cert_file).write_text("22")
    assert not files.have_changed()
    Path(files.key_file).write_text("22")
    assert not files.have_changed()
    assert [files.have_changed() for _ in range(3)] == [True, False, False]


def test_files_that_are_gone_have_not_changed(files: Files) -> None:
    """While a file is being moved into place there is nothing to load; another of the same size is a change."""
    Path(files.key_file).unlink()
    assert [files.have_changed() for _ in range(2)] == [False, False]
    Path(files.key_file).write_text("3")
    os.utime(files.key_file, (1, 1))
    assert [files.have_changed() for _ in range(3)] == [False, True, False]


def test_what_does_not_load_is_told_once(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    """A warning that names the key and says that the old one stays."""

    def fail() -> None:
        raise ConfigurationError(("publish.https.key_file: is damaged",))

    Path(files.key_file).write_text("22")
    for _ in range(4):
        files.renew(fail)
    assert [record.getMessage() for record in caplog.records] == [
        "The new certificate is of no use, and the old one stays: publish.https.key_file: is damaged"
    ]


def test_new_connections_get_the_new_one(shop: Shop, serving: tuple[HttpServer, Address]) -> None:
    """A transfer under way goes on under the old certificate; who comes then sees the new one."""
    address = serving[1]
    before = shown(address)
    with shop.dial(address, slow=True) as running:
        running.sendall(f"GET {shop.path} HTTP/1.0\r\n\r\n".encode())
        shop.until_running(1)
        shop.issue()
        until(lambda: shown(address) != before)
        with shop.dial(address) as fresh:  # it trusts the new authority only
            fresh.sendall(f"GET {shop.path} HTTP/1.0\r\nRange: bytes=0-9\r\n\r\n".encode())
            assert read_all(fresh).endswith(shop.content[:10])
        assert read_all(running).endswith(shop.content)


def test_a_broken_pair_keeps_the_old_one(
    shop: Shop, serving: tuple[HttpServer, Address], caplog: pytest.LogCaptureFixture
) -> None:
    """A key of another certificate: a warning, and everything is served as before."""
    caplog.set_level(logging.WARNING)
    address = serving[1]
    before = shown(address)
    other = trustme.CA().issue_cert("127.0.0.1", key_type=trustme.KeyType.ECDSA)
    other.private_key_pem.write_to_path(str(shop.key_file))
    until(lambda: "publish.https.key_file" in caplog.text)
    assert shown(address) == before
    with shop.dial(address) as station:
        station.sendall(f"GET {shop.path} HTTP/1.0\r\n\r\n".encode())
        assert read_all(station).endswith(shop.content)
    assert len(caplog.records) == 1
