"""The admin room's sockets, from being bound to being served."""

import asyncio
import socket
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from localctl.admin.desk import Desk
from localctl.admin.views import Hands, Views
from localctl.config import Admin
from localctl.errors import ListenError
from localctl.metrics import Metrics
from localctl.values import Address
from tests.serve.conftest import no_descriptor_lost

NOBODY: Any = None
HANDS = Hands(NOBODY, NOBODY, NOBODY)
ANY = Admin(listen=Address("127.0.0.1", 0))


def desk(settings: Admin = ANY) -> tuple[Desk, Views]:
    """One that is not bound yet, and what it is to show."""
    registry = CollectorRegistry()
    views = Views(tuple, lambda: ("busy",), dict, lambda: iter(()), lambda: None, registry)
    return Desk(settings, Metrics(registry, "0")), views


async def _answer(address: Address, path: str) -> bytes:
    """What is answered to a GET."""
    reader, writer = await asyncio.open_connection(*astuple(address))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer


async def test_who_comes_before_it_serves_waits(tmp_path: Path) -> None:
    """From the moment that they are bound nobody is refused, neither at the listener nor at the socket."""
    made, views = desk()
    address = made.bind(tmp_path / "s")
    assert address is not None
    assert made.path == tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as by_hand:
        by_hand.connect(str(made.path))
        async with asyncio.TaskGroup() as tasks:
            early = tasks.create_task(_answer(address, "/readyz"))
            await made.serve(views, HANDS)
        assert b"busy" in early.result()
    await made.close()
    assert not (tmp_path / "s").exists()


async def test_another_password_before_it_serves(tmp_path: Path) -> None:
    """Or afterwards: it is asked for."""
    made, views = desk()
    address = made.bind(tmp_path / "s")
    assert address is not None
    made.reconfigure(Admin(listen=ANY.listen, password=SecretStr("first-of-them-all")))
    await made.serve(views, HANDS)
    assert b" 401 " in await _answer(address, "/metrics")
    made.reconfigure(ANY)
    assert b" 200 " in await _answer(address, "/metrics")
    await made.close()


async def test_none_is_wanted(tmp_path: Path) -> None:
    """Without a listener there is no socket either."""
    made, views = desk(Admin(listen=None))
    assert made.bind(tmp_path / "s") is None
    await made.serve(views, HANDS)
    assert made.path is None
    await made.close()


async def test_a_port_in_use(tmp_path: Path) -> None:
    """The error names the key and the address; nothing is left."""
    first, _ = desk()
    address = first.bind(tmp_path / "s")
    assert address is not None
    with no_descriptor_lost():
        second, _ = desk(Admin(listen=address))
        with pytest.raises(ListenError, match=rf"admin\.listen: cannot listen on {address}: .*in use"):
            second.bind(tmp_path / "t")
        await second.close()
    await first.close()


async def test_closing_before_it_serves(tmp_path: Path) -> None:
    """A start that fails half-way leaves neither descriptors nor the socket's file."""
    with no_descriptor_lost():
        made, _ = desk()
        made.bind(tmp_path / "s")
        await made.close()
    assert not (tmp_path / "s").exists()
