"""vsftpd as an origin: the FTP server that firmware is most likely to lie on.

It listens on a held port, anonymous and read-only; with a certificate it wants TLS, and on the data connection the
session of the control connection.
"""

import socket
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.actors.ports import HeldPort
from tests.actors.process import Process

_CONFIGURATION: Final = """
listen=YES
listen_ipv6=NO
listen_address=127.0.0.1
listen_port={port}
background=NO
run_as_launching_user=YES
seccomp_sandbox=NO
secure_chroot_dir={empty}
anonymous_enable=YES
local_enable=NO
no_anon_password=YES
anon_root={root}
anon_max_rate={limit_rate}
max_per_ip=0
pasv_enable=YES
connect_from_port_20=NO
xferlog_enable=YES
dual_log_enable=YES
log_ftp_protocol=YES
vsftpd_log_file={log}
xferlog_file={log}.xfer
"""
_TLS: Final = """
ssl_enable=YES
allow_anon_ssl=YES
force_anon_logins_ssl=YES
force_anon_data_ssl=YES
require_ssl_reuse=YES
ssl_ciphers=HIGH
rsa_cert_file={certificate}
rsa_private_key_file={key}
"""


class Vsftpd:
    """vsftpd serving ``root``, for as long as its ``async with`` lasts; ``folder`` is its own."""

    def __init__(
        self, folder: Path, root: Path, *, limit_rate: int = 0, certificate: tuple[Path, Path] | None = None
    ) -> None:
        self._port = HeldPort()
        self._folder = folder
        self.url = f"{'ftps' if certificate else 'ftp'}://127.0.0.1:{self._port.number}"
        (folder / "empty").mkdir(parents=True)
        text = _CONFIGURATION.format(
            port=self._port.number, empty=folder / "empty", root=root, limit_rate=limit_rate, log=folder / "log"
        )
        text += _TLS.format(certificate=certificate[0], key=certificate[1]) if certificate else ""
        (folder / "vsftpd.conf").write_text(text, encoding="utf-8")

    async def __aenter__(self) -> Self:
        command = ["vsftpd", str(self._folder / "vsftpd.conf")]
        self._process = await Process.start(command, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        while not self._answers():
            assert self._process.running, self._process.tail()
            await self._process.news.next(0.02)  # it does not say when it listens
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        await self._process.over()
        self._port.close()

    @property
    def pid(self) -> int:
        """Its process id; each session has one below it."""
        return self._process.pid

    def log(self) -> str:
        """What was said to it and by it."""
        path = self._folder / "log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port.number)) == 0
