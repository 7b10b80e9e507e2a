"""FTP under TLS, for clients that ask for it (RFC 4217): AUTH TLS, PBSZ, PROT, on the listener of plain FTP.

Imported only where a certificate is configured. What is sent, and when it is over, is as without TLS; nothing waits in
this process, so what the kernel has sent and had acknowledged is all there is.
"""

import os
from contextlib import suppress
from typing import Any, ClassVar, Final

import pyftpdlib.ioloop  # noqa: F401  before its handlers: it alone imports asyncore without the deprecation
from OpenSSL import SSL
from pyftpdlib.handlers.ftps.control import TLS_FTPHandler
from pyftpdlib.handlers.ftps.data import TLS_DTPHandler

from localctl import tls
from localctl.renewal import Files
from localctl.serve.ftp_data import DataConnection, LentFile
from localctl.serve.ftp_session import Session
from localctl.serve.sealed import RECORD
from localctl.serve.transfer import LONGEST_LOOK_SECONDS
from localctl.wire import tcp

_RECORDS: Final = 16  # a call, so that one fast station does not keep the loop from the others
_COMMANDS: Final = ("AUTH", "PBSZ", "PROT")


class _Abrupt:
    """A connection that may end without a goodbye, which OpenSSL takes for an error and old clients for good enough."""

    def recv(self, size: int) -> bytes:
        """What has come; nothing where the connection has ended."""
        try:
            return bytes(super().recv(size))  # type: ignore[misc]  # of the class that this is laid over
        except SSL.Error:
            self.handle_close()  # type: ignore[attr-defined]  # the same
            return b""


class SecureSession(_Abrupt, Session, TLS_FTPHandler):  # type: ignore[misc]  # pyftpdlib carries no types
    """One session, plain until AUTH TLS."""

    proto_cmds: ClassVar = {**Session.proto_cmds, **{name: TLS_FTPHandler.proto_cmds[name] for name in _COMMANDS}}

    def ftp_AUTH(self, line: str) -> None:  # noqa: N802  pyftpdlib's name
        """What came in plain text behind it was not said by who will have made the handshake: it is thrown away."""
        super().ftp_AUTH(line)
        if self._ssl_requested:
            self.ac_in_buffer = b""

    def close(self) -> None:
        """Close at once."""
        _say_goodbye(self)
        super().close()


class SecureDataConnection(_Abrupt, DataConnection, TLS_DTPHandler):  # type: ignore[misc]  # pyftpdlib carries no types
    """One data connection, under TLS where PROT P was said."""

    def use_sendfile(self) -> bool:
        """A file goes its own way, below; what else there is, pyftpdlib sends."""
        return isinstance(self.file_obj, LentFile) or bool(super().use_sendfile())

    def push(self, data: Any) -> None:
        """Begin to send."""
        super().push(data)
        self._await_handshake()

    def push_with_producer(self, producer: Any) -> None:
        """Begin to send."""
        super().push_with_producer(producer)
        self._await_handshake()

    def initiate_send(self) -> None:
        """Nothing is sent before the handshake."""
        if not self._ssl_accepting:
            super().initiate_send()

    def handle_ssl_established(self) -> None:
        """The handshake is over: what the station acknowledges from here is the file."""
        if not self._initialized:
            return
        if isinstance(self.file_obj, LentFile):
            self.file_obj.transfer.attach(self.socket, 0, self._stall, sealed=True)
        self._wanted_io_events = self.ioloop.WRITE
        self.modify_ioloop_events(self.ioloop.WRITE)

    def initiate_sendfile(self) -> None:
        """Send the next records; called whenever the socket takes more."""
        if not self._ssl_requested:
            super().initiate_sendfile()
        elif not self._ssl_accepting:
            for _ in range(_RECORDS):
                if not self._send_record():
                    return

    def close(self) -> None:
        """Close at once: who stalls would keep a proper goodbye waiting for ever."""
        _say_goodbye(self)
        super().close()

    def _send_record(self) -> bool:
        """Whether there may be room for another."""
        transfer = self.file_obj.transfer
        left = transfer.start + transfer.count - self._offset
        if not left:
            self._await_acknowledgement(0.001)
            return False
        try:
            record = os.pread(self._filefd, min(left, RECORD), self._offset)
        except OSError:
            record = b""
        if not record:
            self._break_off(unreadable=True)
            return False
        try:
            sent = self.socket.send(record)
        except (SSL.WantWriteError, SSL.WantReadError):  # the same record again, when there is room
            return False
        except (SSL.Error, OSError):
            self._break_off()
            return False
        self._offset += sent
        self.tot_bytes_sent += sent
        return True

    def _await_acknowledgement(self, pause: float) -> None:
        """How much TLS adds is known only as a bound; that the kernel holds nothing back is exact."""
        if self._ssl_requested and tcp.unacknowledged(self.socket):
            self.modify_ioloop_events(0)  # a reset is still told
            self.call_later(pause, self._await_acknowledgement, min(2 * pause, LONGEST_LOOK_SECONDS))
        else:
            super()._await_acknowledgement(pause)

    def _await_handshake(self) -> None:
        """Until then only what comes in matters; a socket that could be written to would be told again and again."""
        if self._ssl_accepting and not self._closed:
            self._wanted_io_events = self.ioloop.READ
            self.modify_ioloop_events(self.ioloop.READ)


def context(files: Files) -> SSL.Context:
    """What AUTH TLS shows. Raises ConfigurationError whose faults name the key."""
    tls.server_context(files.section, files.cert_file, files.key_file)  # what is wrong it tells in words
    made = SSL.Context(SSL.TLS_SERVER_METHOD)
    made.set_min_proto_version(SSL.TLS1_2_VERSION)
    made.set_cipher_list(tls.CIPHERS.encode())
    made.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
    made.use_certificate_chain_file(files.cert_file)
    made.use_privatekey_file(files.key_file)
    return made


def _say_goodbye(connection: Any) -> None:
    """So that the client knows that this is the end; pyftpdlib then closes without waiting for an answer."""
    if connection._ssl_established:  # noqa: SLF001  both classes have it from pyftpdlib
        connection._ssl_established = False  # noqa: SLF001
        with suppress(SSL.Error, OSError):
            connection.socket.shutdown()
