"""A conversation of ftplib: ended from another thread, and answers that lead nowhere."""

import socket
import threading
from collections.abc import Iterator
from ftplib import Error

import pytest

from localctl.config import Firmware
from localctl.mirror.origins.ftp_session import Known, Session
from localctl.tls import client_context


@pytest.fixture
def pair() -> Iterator[tuple[Session, socket.socket]]:
    """A session and its server's end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        control = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    session = Session(control, "127.0.0.1", client_context("firmware"), Firmware())
    with server:
        yield session, server
    session.close()


def test_it_can_be_ended_while_it_waits(pair: tuple[Session, socket.socket]) -> None:
    """``end`` wakes the thread that waits for an answer, long before the idle timeout."""
    session, _server = pair
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            session.enter("", "", tls=False)
        except (EOFError, OSError) as fault:
            caught.append(fault)

    thread = threading.Thread(target=wait)
    thread.start()
    session.end()
    thread.join(30)
    assert len(caught) == 1


@pytest.mark.parametrize("port", ["0,0", "999,999"])
def test_a_port_that_is_none(pair: tuple[Session, socket.socket], port: str) -> None:
    """A PASV answer whose port cannot be is no FTP."""
    session, server = pair
    server.sendall(f"220 x\r\n230 x\r\n200 x\r\n227 (127,0,0,1,{port})\r\n".encode())
    session.enter("", "", tls=False)
    with pytest.raises(Error):
        session.retrieve("fw.bin", 0)


@pytest.mark.parametrize(
    ("answers", "known"),
    [
        ("213 7\r\n213 20260131120000\r\n", Known(7, "MDTM 20260131120000")),
        ("213 7\r\n500 x\r\n", Known(7, "")),
        ("550 x\r\n213 20260131120000\r\n", Known(None, "")),
        ("213 -7\r\n213 yesterday\r\n", Known(None, "")),
    ],
)
def test_what_a_server_says_of_a_file(pair: tuple[Session, socket.socket], answers: str, known: Known) -> None:
    """Without SIZE a time proves nothing, and numbers that are none are not believed."""
    session, server = pair
    server.sendall(f"220 x\r\n230 x\r\n200 x\r\n{answers}".encode())
    session.enter("", "", tls=False)
    assert session.ask("fw.bin") == known
