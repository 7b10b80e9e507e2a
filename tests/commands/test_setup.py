"""`localctl setup` as an installer meets it: by flags, on a terminal, and what becomes of it."""

import asyncio
import os
import pty
import re
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pexpect
import psutil
import pytest
import trustme

from localctl.commands.setup import command
from tests.actors.csms import Csms
from tests.actors.daemon import Daemon, executable
from tests.actors.news import TIMEOUT

SECRET = "geheim-0815-geheim"
NOBODY = 65534
DROPPED = f"""
import os, sys
import localctl.commands.setup, localctl.setup.course
from localctl.cli import main
if os.geteuid() == 0:
    os.setgid({NOBODY})
    os.setuid({NOBODY})
sys.argv[0] = "localctl"
main()
"""


def run(*arguments: str, said: str = "", **environ: str) -> tuple[int, str, str]:
    """Run it without a terminal; its exit status, stdout and stderr."""
    done = subprocess.run(
        [executable(), "setup", *arguments], input=said, capture_output=True, text=True, check=False,
        env={**os.environ, **environ},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def person(path: Path, *arguments: str, **environ: str) -> "pexpect.spawn[str]":
    """Run it on a terminal."""
    return pexpect.spawn(
        str(executable()), ["setup", "--config", str(path), *arguments], encoding="utf-8", timeout=TIMEOUT,
        env={**os.environ, "TERM": "xterm", **environ}, dimensions=(50, 200),
    )  # fmt: skip


def answer(child: "pexpect.spawn[str]", dialogue: Sequence[tuple[str, str]]) -> None:
    """Wait for each question, and answer it."""
    for question, said in dialogue:
        child.expect_exact(question)
        child.sendline(said)


def interrupt(child: "pexpect.spawn[str]") -> None:
    """Ctrl-C once it waits for an answer: Python loses one that comes between the question and that."""
    while psutil.Process(child.pid).status() != psutil.STATUS_SLEEPING:
        time.sleep(0.01)
    child.sendintr()


def ended(child: "pexpect.spawn[str]") -> int:
    """Its exit status; what it said is in ``before``."""
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus is not None
    return int(child.exitstatus)


async def test_what_flags_have_written_is_what_the_daemon_runs_on(tmp_path: Path) -> None:
    """From flags alone to a controller that the CSMS has accepted; `check` finds nothing wrong."""
    async with Csms(passwords={"LC-0001": SECRET}) as csms:
        daemon = Daemon(tmp_path, csms.url)
        state = tmp_path / "state"
        template = (
            f'[controller]\nstate_dir = "{state}"\n[firmware]\nmin_free_space = 0\n[admin]\nlisten = "127.0.0.1:0"\n'
        )
        daemon.config_file.write_text(template)
        code, out, err = await asyncio.to_thread(  # the CSMS is asked meanwhile
            run, "--config", str(daemon.config_file), "--csms-url", csms.url, "--identity", "LC-0001", "--profile", "1",
            "--password-file", "-", "--host", "127.0.0.1", "--stations-port", "0", "--http-port", "0",
            "--ftp-port", "0", "--yes", said=f"{SECRET}\n",
        )  # fmt: skip
        assert code == 0, out + err
        assert "FAIL" not in out
        assert SECRET not in out + err
        assert "Stations are given: ws://127.0.0.1:0/ocpp/IDENTITY" in out
        async with daemon:
            await daemon.ready()
            assert {"stations.ws", "publish.http", "publish.ftp"} <= set(daemon.listeners)


def test_a_person_is_led_through(tmp_path: Path) -> None:
    """Each question with its explanation; a mistake is asked again, Enter takes what is proposed, nothing is echoed."""
    authority = trustme.CA()
    authority.issue_cert("gw").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "gw.pem"))
    path = tmp_path / "etc" / "config.toml"
    child = person(path, "--offline", "--no-low-ports")
    answer(
        child,
        [
            ("URL of the CSMS", "http://csms.example.com"),
            ("is not a WebSocket URL", "wss://csms.example.com/ocpp"),
            ("Identity of this controller", "LC 7"),
            ("allowed: 1 to 48 characters", "LC-7"),
            ("Security profile towards the CSMS", "1"),
            ("profile 1 needs a ws:// URL", ""),  # 2 is proposed
            ("Password of this controller", SECRET),
            ("The same again", "other"),
            ("The two differ.", SECRET),
            ("The same again", SECRET),
            ("Root certificates for the CSMS", ""),
            ("Address of this gateway", "192.0.2.9"),
            ("Certificate for stations", str(tmp_path / "missing.pem")),
            ("Name it all the same", "n"),
            ("Certificate for stations", str(tmp_path / "gw.pem")),
            ("Its key", str(tmp_path / "gw.pem")),
            ("Root of the stations' own certificates", ""),
            ("May stations come without TLS", ""),
            ("Serve firmware over FTP", "n"),
            ("Certificate for firmware over HTTPS", ""),
            ("Write ", ""),
        ],
    )
    assert ended(child) in {0, 1}  # ports of the example may be in use here
    assert SECRET not in str(child.before)
    assert "Stations are given: wss://192.0.2.9:8443/ocpp/IDENTITY" in str(child.before)
    tree = tomllib.loads(path.read_text(encoding="utf-8"))
    assert (tree["controller"]["identity"], tree["publish"]["host"]) == ("LC-7", "192.0.2.9")
    assert (set(tree["publish"]) & {"http", "https", "ftp"}, "ws" in tree["stations"]) == ({"http"}, False)
    assert tree["stations"]["wss"]["cert_file"] == str(tmp_path / "gw.pem")
    assert (path.parent / "csms-password").read_text() == f"{SECRET}\n"
    assert [stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()] == [0o640, 0o640]


def test_nothing_is_written_for_somebody_who_gives_up(tmp_path: Path) -> None:
    """By Ctrl-C in the middle, or by a no at the end."""
    child = person(tmp_path / "c.toml")
    child.expect_exact("URL of the CSMS: ")
    interrupt(child)
    assert ended(child) == 130
    child = person(
        tmp_path / "c.toml", "--csms-url=ws://x", "--identity=LC", "--profile=0", "--host=auto", "--wss-cert=",
        "--no-low-ports", "--ftp", "--https-cert=",
    )  # fmt: skip
    answer(child, [("Write ", "n")])
    assert ended(child) == 1
    assert "Traceback" not in str(child.before)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_file_is_offered_to_be_begun_anew(tmp_path: Path) -> None:
    """What is wrong with it is told, and its copy is kept."""
    path = tmp_path / "c.toml"
    path.write_text("[controller\n")
    arguments = ("--csms-url=ws://x", "--identity=LC", "--profile=0", "--host=auto", "--wss-cert=", "--no-low-ports",
                 "--ftp", "--https-cert=", "--no-check")  # fmt: skip
    child = person(path, *arguments)
    child.expect_exact("is not TOML")
    answer(child, [("Begin anew", "y"), ("a copy of the file that is there is kept", "y")])
    assert ended(child) == 0
    [copy] = [one for one in tmp_path.iterdir() if one != path]
    assert copy.read_text() == "[controller\n"


def test_without_a_terminal_a_missing_answer_is_named(tmp_path: Path) -> None:
    """Status 2, the flag, and nothing written."""
    config = ("--config", str(tmp_path / "c.toml"))
    for arguments, flag in (
        ((), "--csms-url"),
        (("--csms-url=ws://x",), "--identity"),
        (("--csms-url=ws://x", "--identity=LC", "--yes"), "--profile"),
        (("--csms-url=ws://x", "--identity=LC", "--profile=1"), "--password-file"),
        (("--csms-url=ws://x", "--identity=LC", "--profile=0", "--wss-key=/k"), "--wss-key is of no use so"),
        (("--csms-url=ws://me:geheim@x", "--identity=LC", "--profile=0"), "carries a user or password"),
    ):
        code, out, err = run(*config, *arguments)
        assert (code, out, flag in err, "geheim" in err) == (2, "", True, False), err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said", "words"),
    [
        (("--password-file=-",), "", "the password is empty"),
        (("--password-file=/nowhere/x",), "", "/nowhere/x cannot be read: No such file or directory"),
        (("--profile=7",), "", "--profile"),
        (("--nonsense",), "", "--nonsense"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: tuple[str, ...], said: str, words: str) -> None:
    """Status 2 and what is wrong."""
    code, _, err = run("--config", str(tmp_path / "c.toml"), *arguments, said=said)
    assert (code, words in err) == (2, True), err


def test_the_status_is_that_of_the_check(tmp_path: Path) -> None:
    """A certificate that is not there is written down, and FAILs; without the check all is well."""
    arguments = ("--config", str(tmp_path / "c.toml"), "--csms-url=ws://x", "--identity=LC", "--profile=0",
                 "--wss-cert=/nowhere/c.pem", "--wss-key=/nowhere/k.pem", "--yes", "--offline")  # fmt: skip
    code, out, _ = run(*arguments)
    assert code == 1
    assert 'FAIL  stations.wss.cert_file: "/nowhere/c.pem" cannot be read' in out
    assert "Mend what FAILs above" in out
    assert run(*arguments, "--no-check")[0] == 0


def test_where_it_cannot_be_written(tmp_path: Path) -> None:
    """A line that says what to do, before anything is asked; no traceback."""
    (tmp_path / "file").write_text("")
    code, out, err = run("--config", str(tmp_path / "file" / "c.toml"))
    assert (code, out) == (1, "")
    assert err == f"localctl: {tmp_path / 'file'} is no folder: name another file by --config\n"


def test_somebody_who_is_not_root(tmp_path: Path) -> None:
    """They are told to be."""
    done = subprocess.run(
        [sys.executable, "-c", DROPPED, "setup", "--config", "/etc/localctl-nobody/config.toml"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "may not be written to by this user: run this as root (sudo localctl setup)" in done.stderr


@pytest.mark.parametrize(("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_is_for_terminals_that_want_it(tmp_path: Path, environ: dict[str, str], *, coloured: bool) -> None:
    """None where it is piped, nor where NO_COLOR is set."""
    child = person(tmp_path / "c.toml", **environ)
    child.expect_exact("URL of the CSMS")
    assert ("\x1b[" in str(child.before)) == coloured
    interrupt(child)
    ended(child)
    _, out, _ = run(
        "--config", str(tmp_path / "c.toml"), "--csms-url=ws://x", "--identity=LC", "--profile=0", "--offline"
    )
    assert "\x1b[" not in out


def test_the_document_names_every_flag() -> None:
    """deploy/README.md has all of them, and no other."""
    text = (Path(__file__).parents[2] / "deploy" / "README.md").read_text(encoding="utf-8")
    section = text.partition("## Setting it up")[2].partition("## The first station")[0]
    flags = {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}
    assert set(re.findall(r"--[a-z][a-z-]+", section)) - {"--help"} == flags


def test_half_a_terminal_is_none(tmp_path: Path) -> None:
    """Where nobody sees the questions nobody is asked."""
    ours, its = pty.openpty()
    done = subprocess.run(
        [executable(), "setup", "--config", tmp_path / "c.toml"], stdin=its, capture_output=True, check=False
    )
    os.close(ours)
    os.close(its)
    assert (done.returncode, b"--csms-url is missing" in done.stderr) == (2, True)
