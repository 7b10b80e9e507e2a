"""One FTP session: anonymous, read-only, passive, always binary.

What an old client leaves out (TYPE, EPSV, SIZE, REST) is not missed, and what it may not do is not known: the commands
that write or that make us dial out (PORT, EPRT: the bounce attack of RFC 2577) are removed from the table. Each RETR
is one loan, ended wherever the transfer ends.
"""

import logging
import sys
from typing import Any, ClassVar, Final

from localctl.errors import ConfigurationError, NotAdmitted, NotPublished, TransfersExhausted
from localctl.renewal import Files
from localctl.serve.ftp_data import DataConnection, DataListener, LentFile
from localctl.serve.ftp_files import PublishedFiles
from localctl.serve.ftp_library import DummyAuthorizer, FTPHandler
from localctl.serve.transfer import EXHAUSTED, Lending, Result

USERS: Final = ("anonymous", "ftp")
COMMANDS: Final = (
    *("USER", "PASS", "QUIT", "NOOP", "SYST", "STAT", "HELP", "FEAT", "OPTS", "ALLO"),
    *("TYPE", "MODE", "STRU", "PASV", "EPSV", "REST", "RETR", "ABOR"),
    *("PWD", "XPWD", "CWD", "XCWD", "CDUP", "XCUP", "LIST", "NLST", "MLSD", "MLST", "SIZE", "MDTM"),
)
_NO_FTPS: Final = (
    "there is no FTPS on this machine, since pyOpenSSL or what it needs cannot be loaded; allowed: an empty cert_file "
    "and key_file, or a certificate once pyOpenSSL and cffi are installed (on Debian: python3-cffi-backend)"
)
_SENDING: Final = ("RETR", "LIST", "NLST", "MLSD")
_CONNECTING_SECONDS: Final = 30
_log = logging.getLogger("localctl.serve.ftp")


class Session(FTPHandler):  # type: ignore[misc]  # pyftpdlib carries no types
    """pyftpdlib's session with our rules; ``session_class`` makes the class that a server uses."""

    lending: Lending
    ssl_context: Any  # where a certificate is configured
    _in_buffer: list[bytes]
    _out_dtp_queue: tuple[Any, bool, LentFile | None, str] | None  # what waits for its data connection

    banner = "localctl ready."
    proto_cmds: ClassVar = {name: FTPHandler.proto_cmds[name] for name in COMMANDS}
    max_login_attempts = 3

    def handle(self) -> None:
        """Greet, or turn away: who is in none of the networks that are served, and all while stopping."""
        self.set_terminator(b"\n")  # a bare LF ends a line too
        try:
            self.lending.admit(self.remote_ip)
        except NotAdmitted:
            self._turn_away()
            return
        if self.lending.refusing:
            self.lending.count_refusal("stopping")
            self._turn_away()
        else:
            super().handle()

    def handle_max_cons(self) -> None:
        """Too many connections."""
        self.lending.count_refusal("busy")
        super().handle_max_cons()

    def found_terminator(self) -> None:
        """A line is whole; what was sent behind the end of a session is not looked at."""
        if self._closed or self._closing:
            return
        self._in_buffer = [b"".join(self._in_buffer).removesuffix(b"\r")]
        super().found_terminator()

    def pre_process_command(self, line: str, cmd: str, arg: str) -> None:
        """Clients give LIST and NLST the options of ls: they change nothing."""
        if cmd in {"LIST", "NLST"} and arg.startswith("-"):
            arg = arg.partition(" ")[2]
        super().pre_process_command(line, cmd, arg)

    def process_command(self, cmd: str, *args: Any, **kwargs: Any) -> None:
        """One transfer at a time, and only over a connection that the client has asked for."""
        if not self._closed and cmd in _SENDING:
            data = self.data_channel
            busy = self._out_dtp_queue is not None or (data is not None and data.transfer_in_progress())
            if busy or (data is None and self._dtp_acceptor is None):
                self._restart_position = 0
                self.respond("450 A transfer is under way." if busy else "425 Use EPSV or PASV first.")
                return
        super().process_command(cmd, *args, **kwargs)

    def ftp_USER(self, line: str) -> None:
        """Anonymous only, under either of its names."""
        if line.lower() in USERS:
            super().ftp_USER(USERS[0])
            return
        self.attempted_logins += 1
        self.respond("530 Only anonymous may log in.")
        if self.attempted_logins >= self.max_login_attempts:
            self.close_when_done()

    def on_login(self, username: str) -> None:  # noqa: ARG002
        """Binary from the start: an old client that sends no TYPE gets the bytes as they are."""
        self._current_type = "i"

    def ftp_TYPE(self, line: str) -> None:
        """Any type is agreed to, and changes nothing."""
        super().ftp_TYPE(line)
        self._current_type = "i"

    def ftp_PASV(self, line: str) -> None:
        """The reply has room for an IPv4 address only (RFC 2428)."""
        if ":" in self.socket.getsockname()[0].removeprefix("::ffff:"):
            self.respond("425 Use EPSV with IPv6.")
        else:
            super().ftp_PASV(line)

    def _make_epasv(self, extmode: bool = False) -> None:  # noqa: FBT001, FBT002  pyftpdlib's call
        """Without descriptors there is no data connection, and the session goes on."""
        try:
            super()._make_epasv(extmode)
        except OSError as fault:
            if fault.errno not in EXHAUSTED:
                raise
            self.lending.count_refusal("busy")
            self.respond("425 No data connection for want of resources.")

    def ftp_RETR(self, file: str) -> None:
        """Lend the file and send it from the position of REST."""
        start, self._restart_position = self._restart_position, 0
        try:
            published = self.lending.find(file)
            if start > published.size:
                self.respond(f"554 The file has {published.size} bytes.")
                return
            transfer = self.lending.begin(published, self.remote_ip, start, published.size - start)
        except NotPublished:
            self.respond("550 No such file.")
        except TransfersExhausted as fault:
            self._turn_away(fault.retry_after)
        else:
            lent = LentFile(transfer)
            self.push_dtp_data(lent, isproducer=True, file=lent, cmd="RETR")

    def ftp_ABOR(self, line: str) -> None:
        """A transfer that waits for its data connection is given up as well."""
        self._drop_waiting("426 Transfer aborted.", "aborted")
        super().ftp_ABOR(line)

    def flush_account(self) -> None:
        """USER in the middle of a session: what waits for its data connection is given up."""
        self._drop_waiting("426 Transfer aborted.", "aborted")
        super().flush_account()

    def give_up_waiting(self, result: Result) -> None:
        """The data connection that was announced did not come."""
        if self._closed:
            return
        self._shutdown_connecting_dtp()
        self._drop_waiting("425 No data connection was opened.", result)

    def log_exception(self, instance: Any) -> None:  # noqa: ARG002
        """A connection or a disk that failed is one line; anything else is ours, and shows where."""
        fault = sys.exception()
        if isinstance(fault, OSError):
            _log.warning("The FTP session of the station at %s failed: %s", self.remote_ip, fault.strerror)
        else:
            _log.error("The FTP session of the station at %s failed", self.remote_ip, exc_info=fault)

    def _drop_waiting(self, reply: str, result: Result) -> None:
        if self._out_dtp_queue is None:
            return
        file = self._out_dtp_queue[2]
        self._out_dtp_queue = None
        if file is not None:
            file.transfer.end(result)
            file.close()
        self.respond(reply)

    def _turn_away(self, retry_after: int | None = None) -> None:
        hint = "" if retry_after is None else f" Try again in {retry_after} seconds."
        self.respond(f"421 Service not available.{hint}")
        self.close_when_done()


def session_class(
    lending: Lending, idle_timeout: float, passive_ports: range | None, certificate: Files | None = None
) -> type[Session]:
    """The class of one server's sessions: pyftpdlib keeps settings in classes, and two servers must not share them.

    Raises ConfigurationError where the ``certificate`` does not load, or pyOpenSSL.
    """
    anonymous = DummyAuthorizer()
    anonymous.add_anonymous("/", msg_login="Welcome.", msg_quit="Goodbye.")
    session: type[Session] = Session
    data: type[DataConnection] = DataConnection
    secure: dict[str, object] = {}
    if certificate:
        try:
            from localctl.serve import ftps
        except ImportError as fault:
            raise ConfigurationError((f"publish.ftp.cert_file: {_NO_FTPS} ({fault})",)) from None

        session, data, secure = (
            ftps.SecureSession,
            ftps.SecureDataConnection,
            {"ssl_context": certificate.use(lambda: ftps.context(certificate))},
        )
    settings = {
        **secure,
        "lending": lending,
        "authorizer": anonymous,
        "abstracted_fs": type("Files", (PublishedFiles,), {"catalogue": lending.catalogue}),
        "dtp_handler": type("Data", (data,), {}),
        "passive_dtp": type("Waiting", (DataListener,), {}),
    }
    made = type("StationSession", (session,), settings)
    set_terms(made, idle_timeout, passive_ports)
    return made


def set_terms(session: type[Session], idle_timeout: float, passive_ports: range | None) -> None:
    """What holds for the sessions and data connections that begin from now on. From any thread: each is one value."""
    session.timeout = session.dtp_handler.timeout = idle_timeout
    session.passive_dtp.timeout = min(idle_timeout, _CONNECTING_SECONDS)
    session.passive_ports = passive_ports
