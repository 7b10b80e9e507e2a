"""The life of the package on a gateway, step by step. deploy/try-package.sh plays it in a machine of its own, whose
systemd is the first process there and whose network is cut. Ends at the first step that does not go as it must.
"""

import sys

sys.path += ["/srv", "/srv/actors"]

import asyncio
import gzip
import pwd
import re
import socket
import tempfile
from pathlib import Path

from deploy.package.gateway import (
    CONFIG,
    UNITS,
    WrongStep,
    config_as_installed,
    differences,
    digest,
    failed_units,
    files,
    must,
    run,
    say,
    shown,
    units,
    until,
    until_ready,
)
from deploy.package.players import IDENTITY, Site
from localctl.demo.csms import Csms

DEBS = {"first": "/srv/first.deb", "second": "/srv/second.deb"}


async def install(build: str) -> str:
    """What dpkg says."""
    return (await run("dpkg", "-i", DEBS[build])).said


async def installed() -> None:
    """Enabled, started by nobody, and its papers are there."""
    said = await install("first")
    must("Run: localctl setup" in said, True, f"dpkg says what is next, in {said}")
    must(await units("is-enabled"), ["enabled", "enabled"], "service and socket")
    must(await units("is-active"), ["inactive", "inactive"], "service and socket")
    must(config_as_installed(), "root:localctl 640", str(CONFIG))
    must(bool(list(Path("/usr/lib/localctl/localctl/__pycache__").glob("cli.*.pyc"))), True, "its code is compiled")
    manual = gzip.decompress(Path("/usr/share/man/man1/localctl.1.gz").read_bytes()).decode()
    for command in ("setup", "bundle", "check", "status"):
        must(f"\n.SS {command}" in manual, True, f"man localctl tells of {command}")
    for path in ("bash-completion/completions/localctl", "zsh/vendor-completions/_localctl", "doc/localctl/copyright"):
        must(Path("/usr/share", path).is_file(), True, f"/usr/share/{path} is there")
    version = (await run("localctl", "--version")).said
    say(f"install: {version}; service and socket are enabled, neither runs; {CONFIG} is {config_as_installed()}")
    await run("localctl", "demo", "--stations", "2", "--size", "1")
    say("localctl demo: ends with 0")


async def set_up(csms: Csms, *flags: str) -> None:
    """By `localctl setup` with flags; then what its last words say."""
    words = ("localctl", "setup", "--csms-url", csms.url, "--identity", IDENTITY, "--profile", "0")
    done = await run(*words, "--host", "127.0.0.1", *flags, "--yes")
    must("FAIL" in done.said, False, f"its check FAILs, in {done.said}")
    must(config_as_installed(), "root:localctl 640", str(CONFIG))
    fine = len(re.findall(r"^ *ok ", done.said, re.MULTILINE))
    say(f"{' '.join(('setup', *flags))}: ends with 0, {fine} checks ok, none FAILs")
    for command in re.findall(r": (systemctl .*)", done.said):
        say(f"as it says: {command}")
        await run(*command.split())


async def started(site: Site) -> None:
    """It runs, as its user, and the CSMS has accepted it."""
    await site.booted()
    say(f"localctl status: {await until_ready()}")
    must((await run("localctl", "check")).said.count("FAIL"), 0, "FAILs of localctl check")
    pid = await shown("MainPID")
    must(Path(f"/proc/{pid}").stat().st_uid, pwd.getpwnam("localctl").pw_uid, "user of the daemon")
    say(f"localctl check: nothing FAILs; process {pid} is user localctl's")


async def reload() -> None:
    """`systemctl reload` takes over that the origin, which is on this machine, may be fetched from."""
    text, count = re.subn(r"(?m)^allowed_origins = \[\]", 'allowed_origins = ["127.0.0.1"]', CONFIG.read_text("utf-8"))
    must(count, 1, f"lines of {CONFIG} that name the origins")
    CONFIG.write_text(text, encoding="utf-8")
    pid = await shown("MainPID")
    await run("systemctl", "reload", "localctl")
    line, since = "taken over: firmware.allowed_origins", await shown("ActiveEnterTimestamp")
    await until("reload", lambda done: line in done.said, "journalctl", "-u", "localctl", "--no-pager", "-S", since)
    must(await shown("MainPID"), pid, "process after the reload")
    say("systemctl reload: taken over: firmware.allowed_origins, by the same process")


async def bundle() -> None:
    """A support archive, with something in it."""
    with tempfile.TemporaryDirectory() as folder:
        await run("localctl", "bundle", f"{folder}/bundle.tar.gz")
        names = (await run("tar", "-tzf", f"{folder}/bundle.tar.gz")).said.split()
    say(f"localctl bundle: {' '.join(name.rpartition('/')[2] for name in names)}")


async def upgraded(site: Site, build: str) -> None:
    """While it runs: it is started again, and nobody notices."""
    before, config, version = await shown("MainPID"), digest(CONFIG), await packaged()
    async with site.besieged():
        await install(build)
        await site.booted()
        await until_ready()
    must(digest(CONFIG), config, f"content of {CONFIG}")
    must(before != await shown("MainPID"), True, "it was started again")
    must(version != await packaged(), True, "the version has changed")
    say(f"dpkg -i {build}.deb: {version} to {await packaged()}, started again; the configuration is as it was")
    await site.still_served()


async def packaged() -> str:
    """The version of the package."""
    return (await run("dpkg-query", "-W", "-f", "${Version}", "localctl")).said


async def upgraded_stopped(build: str) -> None:
    """While it is stopped: it stays stopped."""
    await run("systemctl", "stop", *UNITS)
    await install(build)
    must(await units("is-active"), ["inactive", "inactive"], "service and socket")
    must(await units("is-enabled"), ["enabled", "enabled"], "service and socket")
    say(f"dpkg -i {build}.deb while stopped: {await packaged()}, stays stopped, and enabled")


async def removed() -> None:
    """It is stopped, and gone but for configuration and state."""
    await run("dpkg", "-r", "localctl")
    for kept in (CONFIG, Path("/var/lib/localctl/localctl.db")):
        must(kept.exists(), True, f"{kept} stays")
    must(Path("/usr/lib/localctl").exists(), False, "/usr/lib/localctl is there")
    must(await units("is-active"), ["inactive", "inactive"], "service and socket")
    must(
        (await run("pgrep", "-u", "localctl", status=None)).said if Path("/usr/bin/pgrep").exists() else "",
        "",
        "processes",
    )
    say("dpkg -r: service and socket are stopped; configuration and state stay")


async def purged(before: dict[str, str]) -> None:
    """Nothing is left, on the disk and in systemd."""
    await run("dpkg", "-P", "localctl")
    must(differences(before, files()), [], "files that have come, gone or changed")
    listed = ("--all", "--plain", "--no-legend", "localctl*")
    known = (await run("systemctl", "list-units", *listed)).said.splitlines()
    must([line for line in known if " not-found inactive " not in line], [], "units")  # it forgets these in its time
    must((await run("systemctl", "list-unit-files", *listed, status=None)).said, "", "unit files")
    must(list(Path("/run").glob("**/localctl*")), [], "in /run")
    say(f"dpkg -P: nothing is left; the user stays: {(await run('id', 'localctl')).said}")


async def beside_another(site: Site) -> None:
    """Where another web server has port 80: it installs, leaves the port alone, and serves on high ports."""
    with socket.create_server(("127.0.0.1", 80)):
        said = await install("second")
        must("port 80" in said, True, f"dpkg says which port is taken, in {said}")
        must(await units("is-enabled"), ["enabled", "disabled"], "service and socket")
        say("beside another web server: installed; the socket is not enabled, and dpkg says why")
        await install("first")
        must(await units("is-enabled"), ["enabled", "disabled"], "service and socket after another build")
        await set_up(site.csms)
        await started(site)
        await reload()
        await site.play(low=False)
        must(await units("is-active"), ["active", "inactive"], "service and socket")


async def changed(site: Site) -> None:
    """The other web server is gone, and comes back: each time setup says which commands that takes."""
    for flag, socket_unit in (("--low-ports", "active"), ("--no-low-ports", "inactive")):
        await set_up(site.csms, flag)
        await started(site)
        must(await units("is-active"), ["active", socket_unit], "service and socket")


async def live(site: Site) -> None:
    """All of it."""
    before, failed = files(), await failed_units()
    await installed()
    await set_up(site.csms)
    await started(site)
    await reload()
    await site.play()
    await bundle()
    await upgraded(site, "second")
    await site.play()
    await upgraded(site, "first")
    await upgraded_stopped("second")
    await run("systemctl", "start", "localctl")
    await started(site)
    must(await units("is-active"), ["active", "active"], "service and socket")
    await site.still_served()
    await site.play()
    await removed()
    await purged(before)
    await beside_another(Site(site.csms, site.folder / "again"))
    await changed(site)
    await purged(before)
    must(await failed_units(), failed, "failed units")
    say("no unit has failed")


async def main() -> None:
    """Ends with 1 at the first step that goes wrong, with what the daemon said."""
    system = (await run("systemctl", "--version")).said.splitlines()[0]
    links = [line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text("utf-8").splitlines()[2:]]
    say(f"{system}; the network: {' '.join(links)}, and no other")
    try:
        with tempfile.TemporaryDirectory() as folder:
            async with Csms() as csms:
                await live(Site(csms, Path(folder)))
    except Exception as fault:  # whatever it is, it is told with the journal beside it
        print((await run("journalctl", "-u", "localctl*", "-n", "40", "--no-pager", status=None)).said)
        if not isinstance(fault, WrongStep):
            raise
        sys.exit(f"trial: {fault}")


if __name__ == "__main__":
    asyncio.run(main())
