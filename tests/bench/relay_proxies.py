"""What a relay is compared with, and localctl itself: each starts in front of a CSMS, on the core of the servers.

All have the settings that matter alike: one thread, no log of requests, TCP_NODELAY, buffers that a message fits into,
as many descriptors as they may have.
"""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.actors.daemon import Daemon
from tests.actors.news import TIMEOUT
from tests.actors.ports import HeldPort
from tests.actors.process import Process
from tests.bench.relay_setting import Proxy, Setting

UVLOOP: Final = "localctl+uvloop"
# As localctl.service has it: the main loop's thread goes before the others, which begin at 0.
_AS_THE_UNIT: Final = ("nice", "-n", "-10", "chrt", "--reset-on-fork", "--other", "0")
_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
_NGINX: Final = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log /dev/null;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  sendfile on;
  tcp_nodelay on;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_buffer_size 16k;
  proxy_buffers 8 16k;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_certificate {certificate};
  ssl_certificate_key {key};
  proxy_ssl_trusted_certificate {roots};
  proxy_ssl_verify on;
  proxy_ssl_name localhost;
  upstream csms {{ server 127.0.0.1:{csms}; }}
  server {{
    listen 127.0.0.1:{port}{ssl} backlog=4096;
    location /ocpp/ {{
      proxy_pass {scheme}://csms;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_read_timeout 1h;
      proxy_send_timeout 1h;
    }}
    location /firmware/ {{ alias {shelf}/; }}
  }}
  server {{
    listen 127.0.0.1:{sealed} ssl backlog=4096;
    location /firmware/ {{ alias {shelf}/; }}
  }}
}}
"""
_HAPROXY: Final = """
global
  nbthread 1
  maxconn 8000
defaults
  mode http
  retries 0
  timeout connect 10s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
frontend stations
  bind 127.0.0.1:{port} backlog 4096{ssl}
  default_backend csms
backend csms
  server csms 127.0.0.1:{csms}{sealed}
"""


Opening = AbstractAsyncContextManager[Proxy | None]  # None: it cannot do what is asked, and says why


@asynccontextmanager
async def localctl(loop: str, setting: Setting) -> AsyncIterator[Proxy | None]:
    """The daemon, its main loop on ``loop``: asyncio's own, or uvloop's."""
    own, listen = str(setting.certificates.own), {"listen": "127.0.0.1:0"}
    sealed = {**listen, "cert_file": own, "key_file": own}
    overrides: dict[str, Any] = {
        "stations": {"max_stations": 5000, **({"ws": None, "wss": sealed} if setting.tls else {})},
        "publish": {"https": sealed},
        "log": {"level": "warning"},
    }
    if setting.tls:
        overrides["csms"] = {"ca_file": str(setting.certificates.roots)}
    folder = setting.folder / f"localctl-{loop}"
    wrapper = (*setting.on, *_AS_THE_UNIT)
    daemon = Daemon(folder, f"{setting.csms_url}/ocpp", overrides, wrapper=wrapper, environ={"LOCALCTL_LOOP": loop})
    async with daemon:
        listeners = await _listeners(daemon)
        if not listeners:
            print(f"localctl is left out: {daemon.runs[-1].err[-1]}", flush=True)
            yield None
        elif loop == "uvloop" and "uvloop" not in Path(f"/proc/{daemon.pid}/maps").read_text(encoding="utf-8"):
            print("localctl is left out on uvloop: it does not run on it here", flush=True)
            await daemon.stop()
            yield None
        else:
            await daemon.ready()
            name = UVLOOP if loop == "uvloop" else "localctl"
            port = int(listeners["stations.wss" if setting.tls else "stations.ws"].rpartition(":")[2])
            files = {each: f"{each}://{listeners[f'publish.{each}']}" for each in ("http", "https")}
            yield Proxy(name, daemon.pid, port, files, daemon)


async def _listeners(daemon: Daemon) -> Mapping[str, str]:
    """None where this version of localctl refuses the configuration."""
    try:
        return await daemon.listening()
    except AssertionError:
        if daemon.runs[-1].status != 78:
            raise
        return {}


@asynccontextmanager
async def nginx(setting: Setting) -> AsyncIterator[Proxy | None]:
    """nginx, one worker."""
    folder, ports = setting.folder / "nginx", (HeldPort(), HeldPort())
    folder.mkdir()
    certificates, (port, sealed) = setting.certificates, (each.number for each in ports)
    text = _NGINX.format(
        folder=folder,
        port=port,
        sealed=sealed,
        csms=setting.csms,
        shelf=setting.shelf,
        certificate=certificates.own,
        key=certificates.own,
        roots=certificates.roots,
        ssl=" ssl" if setting.tls else "",
        scheme="https" if setting.tls else "http",
    )
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    command = ("nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "stderr")
    async with _running((*setting.on, *command), port) as pid:
        files = {"http": f"http://127.0.0.1:{port}", "https": f"https://127.0.0.1:{sealed}"}
        yield Proxy("nginx", pid, port, {} if setting.tls else files)
    for each in ports:
        each.close()


@asynccontextmanager
async def haproxy(setting: Setting) -> AsyncIterator[Proxy | None]:
    """HAProxy, one thread."""
    held, certificates, file = HeldPort(), setting.certificates, setting.folder / "haproxy.cfg"
    text = _HAPROXY.format(
        port=held.number,
        csms=setting.csms,
        ssl=f" ssl crt {certificates.own}" if setting.tls else "",
        sealed=f" ssl verify required ca-file {certificates.roots} verifyhost localhost" if setting.tls else "",
    )
    file.write_text(text, encoding="utf-8")
    async with _running((*setting.on, "haproxy", "-db", "-q", "-f", str(file)), held.number) as pid:
        yield Proxy("haproxy", pid, held.number)
    held.close()


@asynccontextmanager
async def library(which: str, setting: Setting) -> AsyncIterator[Proxy | None]:
    """A proxy of two connections of a library."""
    command = [sys.executable, "-m", "tests.bench.relay_peers", which, setting.csms_url]
    if setting.deflate:
        command.append("--deflate")
    if setting.tls:
        own, roots = str(setting.certificates.own), str(setting.certificates.roots)
        command += ["--certificate", own, "--key", own, "--roots", roots]
    process = await Process.start((*setting.on, *command))
    try:
        told = await process.until(lambda: process.out or not process.running, f"the port of {which}")
        assert told is not True, process.tail()
        yield Proxy(which, process.pid, int(process.out[0].split()[1]))
    finally:
        await _ended(process)


PROXIES: Final[Mapping[str, Callable[[Setting], Opening]]] = {
    "localctl": partial(localctl, "asyncio"),
    UVLOOP: partial(localctl, "uvloop"),
    "nginx": nginx,
    "haproxy": haproxy,
    "websockets": partial(library, "websockets"),
    "aiohttp": partial(library, "aiohttp"),
}


def is_missing(name: str) -> bool:
    """Whether a peer is no program of this machine; it is said, too."""
    missing = name in {"nginx", "haproxy"} and shutil.which(name, path=_PATH) is None
    if missing:
        print(f"{name} is missing here and is left out: apt-get install --no-install-recommends {name}", flush=True)
    return missing


@asynccontextmanager
async def _running(command: tuple[str, ...], port: int) -> AsyncIterator[int]:
    """The process id of a server, once it listens."""
    process = await Process.start(command, {"PATH": _PATH})
    try:
        async with asyncio.timeout(TIMEOUT):
            while not await _listens(port):
                assert process.running, process.tail()
                await process.news.next(0.05)
        yield process.pid
    finally:
        await _ended(process)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


async def _ended(process: Process) -> None:
    process.kill()
    await process.over()
