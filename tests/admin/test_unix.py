"""Binding a socket's file: its mode, and what may be in its place."""

import socket
import stat
from pathlib import Path

import pytest

from localctl.admin import unix
from localctl.admin.unix import LONGEST, Place, bind, fits
from localctl.errors import ListenError
from tests.serve.conftest import no_descriptor_lost


def test_who_may_connect(tmp_path: Path) -> None:
    """Mode 0660, and nobody gets in before it listens."""
    path = tmp_path / "s"
    with bind(path), socket.socket(socket.AF_UNIX) as caller:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        with pytest.raises(ConnectionRefusedError):
            caller.connect(str(path))


def test_a_stale_one_is_replaced(tmp_path: Path) -> None:
    """What a killed daemon left behind is no obstacle."""
    path = tmp_path / "s"
    bind(path).close()
    assert path.exists()
    bind(path).close()


@pytest.mark.parametrize("backlog", [1, 0])
def test_a_live_one_is_not_replaced(tmp_path: Path, backlog: int) -> None:
    """Somebody answers, or is too busy to: it stays."""
    path = tmp_path / "s"
    with bind(path) as first, socket.socket(socket.AF_UNIX) as waiting:
        first.listen(backlog)
        waiting.connect(str(path))
        with pytest.raises(ListenError, match=r"^admin\.socket: cannot listen on .*: another program answers there"):
            bind(path)
        assert path.exists()


def test_what_is_no_socket_stays(tmp_path: Path) -> None:
    """Neither a file nor a link of somebody's is removed."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with pytest.raises(ListenError, match="no socket is there"):
            bind(tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"
    assert (tmp_path / "link").is_symlink()


def test_leaving(tmp_path: Path) -> None:
    """Who comes is kept until then; its file goes with it, but not one that has taken its place."""
    place = Place(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(place.path))
    place.leave()
    assert not place.path.exists()
    place = Place(tmp_path / "s")
    (tmp_path / "other").write_text("mine")
    (tmp_path / "other").replace(place.path)
    place.leave()
    assert place.path.read_text() == "mine"


def test_one_that_is_gone_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody removed it before it listened: that is said, and nothing is left."""

    def bound(path: Path) -> socket.socket:
        sock = bind(path)
        path.unlink()
        return sock

    monkeypatch.setattr(unix, "bind", bound)
    with no_descriptor_lost(), pytest.raises(ListenError, match="No such file or directory"):
        Place(tmp_path / "s")


def test_where_no_socket_can_be(tmp_path: Path) -> None:
    """A folder that is missing, and a path that is too long, are said to be that."""
    with pytest.raises(ListenError, match="No such file or directory"):
        bind(tmp_path / "missing" / "s")
    short = Path("/" + "x" * (LONGEST - 1))
    assert (fits(short), fits(Path(f"{short}x"))) == (True, False)
    with pytest.raises(ListenError, match="more than 107 bytes"):
        bind(Path(f"{short}x"))
