"""nginx as an origin: the web server that firmware is most likely to lie on.

It listens on a held port, so that none is raced for. It runs as one process in the foreground, and tells each request
on its stdout when it is over.
"""

import json
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.actors.news import TIMEOUT
from tests.actors.ports import HeldPort
from tests.actors.process import Process

_CONFIGURATION: Final = """
daemon off;
master_process off;
pid {prefix}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 512; }}
http {{
  default_type application/octet-stream;
  sendfile on;
  client_body_temp_path {prefix}/body;
  proxy_temp_path {prefix}/proxy;
  fastcgi_temp_path {prefix}/fastcgi;
  uwsgi_temp_path {prefix}/uwsgi;
  scgi_temp_path {prefix}/scgi;
  log_format told escape=json '{{"method":"$request_method","target":"$request_uri","range":"$http_range",'
    '"if_range":"$http_if_range","status":$status,"sent":$body_bytes_sent,"agent":"$http_user_agent"}}';
  access_log /dev/stdout told;
  server {{
    listen 127.0.0.1:{port}{ssl};
    {certificate}
    root {root};
    limit_rate {limit_rate};
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Served:
    """One request, once it is over: ``sent`` is what nginx sent of the body in bytes; an absent header is empty."""

    method: str
    target: str
    range: str
    if_range: str
    status: int
    sent: int
    agent: str


class Nginx:
    """nginx serving ``root``, for as long as its ``async with`` lasts.

    ``folder`` is its own, for its configuration and its temporary files; ``limit_rate`` is in bytes a second for each
    connection, 0 for none; ``certificate`` is the files of a certificate and its key: then it speaks TLS only.
    """

    def __init__(
        self, folder: Path, root: Path, *, limit_rate: int = 0, certificate: tuple[Path, Path] | None = None
    ) -> None:
        self.scheme = "https" if certificate else "http"
        self._port = HeldPort()
        self._folder = folder
        self._runs: list[Process] = []
        folder.mkdir(parents=True, exist_ok=True)
        lines = (
            "ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {}; ssl_certificate_key {};".format(*certificate)
            if certificate
            else ""
        )
        text = _CONFIGURATION.format(
            prefix=folder,
            root=root,
            port=self._port.number,
            limit_rate=limit_rate,
            ssl=" ssl" if certificate else "",
            certificate=lines,
        )
        (folder / "nginx.conf").write_text(text, encoding="utf-8")

    @property
    def url(self) -> str:
        """What the path of a file is appended to, after a slash."""
        return f"{self.scheme}://127.0.0.1:{self._port.number}"

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        self._port.close()

    async def start(self) -> None:
        """Serve, on the same port as before."""
        command = ["nginx", "-p", str(self._folder), "-c", "nginx.conf", "-e", "stderr"]
        self._runs.append(await Process.start(command, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}))
        await self._process.until(self._is_up, "nginx")

    async def stop(self) -> None:
        """End it and what it serves at once; connections are refused from now on."""
        self._process.signal(signal.SIGTERM)
        await self._process.over()

    def requests(self) -> list[Served]:
        """The requests that are over, over all runs."""
        return [Served(**json.loads(line)) for run in self._runs for line in run.out]

    async def until(self, condition: Callable[[], object], what: str = "a request", timeout: float = TIMEOUT) -> None:
        """Wait until ``condition()`` holds, asking whenever a request is over."""
        await self._process.until(condition, what, timeout)

    @property
    def _process(self) -> Process:
        return self._runs[-1]

    def _is_up(self) -> bool:
        """It listens before it says how it waits for events."""
        assert self._process.running, self._process.tail()
        return any("event method" in line for line in self._process.err)
