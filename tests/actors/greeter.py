"""A TCP server on loopback that says one thing to each who connects, over TLS or not: what handshakes are tried on."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

Answer = Callable[[socket.socket], None]


@contextlib.contextmanager
def listening(answer: Answer) -> Iterator[tuple[str, int]]:
    """The address of a server that does ``answer`` with one connection after the other, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, answer), name="greeter")
        thread.start()
        try:
            host, port = listener.getsockname()
            yield host, port
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes the one that accepts
            thread.join()


def greeting(context: ssl.SSLContext) -> Answer:
    """Tell who comes through the handshake which TLS was spoken, and bear those who do not."""

    def answer(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as tls:
            tls.sendall((tls.version() or "").encode())
            tls.recv(1)  # until the other side has read it

    return answer


def plain(connection: socket.socket) -> None:
    """Answer whatever comes as a web server without TLS does."""
    connection.recv(10_000)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def _serve(listener: socket.socket, answer: Answer) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(30)
            with contextlib.suppress(OSError):  # the other side's view is what is tested
                answer(connection)
