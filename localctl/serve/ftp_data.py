"""The data connections of FTP sessions: passive only, and a loan that ends with its transfer.

pyftpdlib closes the file that it sends wherever a transfer ends, so closing ends the loan; 226 is said, and the
connection closed, when the station has acknowledged the last byte.
"""

import errno
import logging
import os
import socket
from io import FileIO
from typing import Any, Final

from localctl.serve.ftp_library import DTPHandler, FTPHandler
from localctl.serve.transfer import FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS, Result, Transfer
from localctl.wire import tcp

_PIECE: Final = 16 * 2**20  # bytes a call, so that one fast station does not keep the loop from the others
_log = logging.getLogger("localctl.serve.ftp")


class LentFile(FileIO):
    """What pyftpdlib sends, as file and producer in one: closing it ends the loan."""

    def __init__(self, transfer: Transfer) -> None:
        self.transfer = transfer
        super().__init__(transfer.file.fileno(), "r", closefd=False)
        self.seek(transfer.start)

    @property
    def file(self) -> "LentFile":
        """Where a producer keeps its file."""
        return self

    def close(self) -> None:
        """End the loan, as broken off where nothing else was said before."""
        super().close()
        self.transfer.end("aborted")


class DataConnection(DTPHandler):  # type: ignore[misc]  # pyftpdlib carries no types
    """One data connection: a file that is lent, or a listing."""

    def transfer_in_progress(self) -> bool:
        """Whether a transfer has begun; pyftpdlib asks for a byte sent, and owes who aborts before that a reply."""
        return bool(self._initialized)

    def push_with_producer(self, producer: Any) -> None:
        """Begin to send."""
        if isinstance(producer, LentFile):
            producer.transfer.attach(self.socket, 0, self._stall)
        super().push_with_producer(producer)

    def initiate_sendfile(self) -> None:
        """Send the next piece; pyftpdlib calls this whenever the socket takes more."""
        transfer = self.file_obj.transfer
        left = transfer.start + transfer.count - self._offset
        try:
            sent = os.sendfile(self._fileno, self._filefd, self._offset, min(left, _PIECE)) if left else 0
        except (BlockingIOError, InterruptedError):
            return
        except OSError as fault:
            self._break_off(unreadable=fault.errno == errno.EIO)
            return
        if left and not sent:
            self._break_off(unreadable=True)
            return
        self._offset += sent
        self.tot_bytes_sent += sent
        if sent == left:
            self._await_acknowledgement(FIRST_LOOK_SECONDS)

    def handle_close(self) -> None:
        """The client has closed, or reset, the connection."""
        if self._closed or not isinstance(self.file_obj, LentFile):
            super().handle_close()
        elif self.file_obj.transfer.is_acknowledged():
            self._end("complete", "226 Transfer complete.")
        else:
            self._break_off()

    def handle_timeout(self) -> None:
        """Nothing moved: for a lent file the sweep judges that, by what the station has acknowledged."""
        if not isinstance(self.file_obj, LentFile):
            super().handle_timeout()

    def close(self) -> None:
        """Close, and end the loan while the socket still tells how far it came."""
        if not self._closed and isinstance(self.file_obj, LentFile):
            self.file_obj.transfer.end("aborted")
        super().close()

    def _await_acknowledgement(self, pause: float) -> None:
        """Wait until the station has it all. No event tells, so look, at growing intervals."""
        if self.file_obj.transfer.is_acknowledged():
            self._end("complete", "226 Transfer complete.")
            return
        self.modify_ioloop_events(0)  # a reset is still told
        self.call_later(pause, self._await_acknowledgement, min(2 * pause, LONGEST_LOOK_SECONDS))

    def _stall(self) -> None:
        tcp.reset_on_close(self.socket)
        session = self.cmd_channel
        self._end("idle", "421 The data connection took nothing any more.")
        session.close_when_done()

    def _break_off(self, *, unreadable: bool = False) -> None:
        if unreadable:
            self.file_obj.transfer.fell_short()
        self._end("aborted", "426 The transfer broke off.")

    def _end(self, result: Result, reply: str) -> None:
        self.file_obj.transfer.end(result)
        self.transfer_finished = result == "complete"
        self._resp = (reply, _log.debug)
        self.close()


class DataListener(FTPHandler.passive_dtp):  # type: ignore[misc]  # pyftpdlib carries no types
    """Waits for the one data connection that PASV or EPSV announced."""

    def __init__(self, session: Any, extmode: bool = False) -> None:  # noqa: FBT001, FBT002  pyftpdlib's call
        super().__init__(session, extmode)
        ports, port = session.passive_ports, self.socket.getsockname()[1]
        if ports is not None and port not in ports:
            _log.warning("All of passive_ports are in use: port %s is used, which a firewall may close", port)

    def handle_accepted(self, sock: socket.socket, addr: tuple[Any, ...]) -> None:
        """Take the client's connection; another's is closed, and the client is not told of it."""
        if addr[0] != self.cmd_channel.remote_ip:
            sock.close()
        else:
            super().handle_accepted(sock, addr)

    def handle_timeout(self) -> None:
        """No data connection came."""
        self.cmd_channel.give_up_waiting("idle")

    def handle_error(self) -> None:
        """It could not be taken, for want of descriptors."""
        _log.debug("A data connection could not be taken", exc_info=True)
        self.cmd_channel.give_up_waiting("aborted")
