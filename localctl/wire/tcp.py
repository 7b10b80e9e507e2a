"""What the kernel knows of a TCP connection, and a listener to accept them. Linux.

The kernel takes bytes long before a slow station does, so what we have written says little; what the station's kernel
has acknowledged says how far it is and whether it still lives.
"""

import errno
import fcntl
import socket
import struct
import termios
from asyncio.trsock import TransportSocket
from collections.abc import Mapping
from typing import Final

from localctl.errors import ListenError
from localctl.values import Address

Socket = socket.socket | TransportSocket
BACKLOG: Final = 128
LASTING_BACKLOG: Final = 4096  # of a socket in which connections wait while we are away; the kernel may allow less
_PRIVILEGED: Final = 1024
_ADVICE: Final[Mapping[int | None, str]] = {  # of low ports
    errno.EACCES: "; only root may open ports below 1024: let systemd do it (systemctl enable localctl.socket, then "
    "systemctl restart localctl; systemctl status localctl.socket), or choose another port",
    errno.EADDRINUSE: "; stop what listens there (ss -ltnp), or choose another port",
}
_INFO_SIZE: Final = 192
_ACKNOWLEDGED_AT: Final = 120  # tcpi_bytes_acked in struct tcp_info, linux/tcp.h; there since Linux 4.1
_ESTABLISHED: Final = 1
_CLOSED: Final = 7  # TCP_CLOSE, linux/tcp_states.h


def listen(key: str, address: Address, backlog: int = BACKLOG) -> socket.socket:
    """A listening socket; ``::`` takes IPv4 as well. Raises ListenError, naming the configuration's ``key``."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, where = min(found, key=lambda each: each[0] != socket.AF_INET)  # a name: IPv4 before IPv6
        both = address.host == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(where, family=family, backlog=backlog, dualstack_ipv6=both)
    except OSError as fault:
        cause = (fault.strerror or str(fault)).partition(" (while")[0]  # Python repeats the address
        advice = _ADVICE.get(fault.errno, "") if address.port < _PRIVILEGED else ""
        raise ListenError(key, str(address), f"{cause}{advice}") from None


def bound(sock: socket.socket) -> Address:
    """Where ``sock`` is bound."""
    host, port = sock.getsockname()[:2]
    return Address(host, port)


def acknowledged(sock: Socket) -> int:
    """The bytes that the peer of an accepted connection has acknowledged so far. Raises OSError on a closed socket."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
    (count,) = struct.unpack_from("=Q", info, _ACKNOWLEDGED_AT)
    return int(count)


def unacknowledged(sock: Socket) -> int:
    """The bytes written and not acknowledged yet. Raises OSError on a closed socket."""
    (count,) = struct.unpack("=i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))  # SIOCOUTQ, tcp(7)
    return int(count)


def is_gone(sock: Socket) -> bool:
    """Whether the connection is over: reset by the peer, or closed by us."""
    return _state(sock) == _CLOSED


def is_open(sock: Socket) -> bool:
    """Whether neither side has closed it, nor its own sending side."""
    return _state(sock) == _ESTABLISHED


def reset_on_close(sock: Socket) -> None:
    """Make close() throw away what is unsent, rather than the kernel trying on for minutes."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 0))


def _state(sock: Socket) -> int:
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    except OSError:
        return _CLOSED
