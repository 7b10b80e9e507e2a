"""`localctl bundle` against a daemon that runs, one that does not, and what no configuration is."""

import io
import json
import os
import pty
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from localctl.commands.bundle import _write
from tests.actors.csms import Csms
from tests.actors.daemon import Daemon, executable
from tests.actors.process import Process

SECRET = "geheim-0815-geheim"
ALONE = ("unshare", "--user", "--map-root-user", "--net")  # where nobody has the port that is asked by default
LOGGED = f"""\
2026-01-31T12:00:00+0000 gw localctl[1]: fetching ftp://me:geheim-1@origin/{SECRET}.bin?sign=geheim-2
2026-01-31T12:00:00+0000 gw localctl[1]: Authorization: Basic TEMtMDAwMTpnZWhlaW0tMDgxNS1nZWhlaW0=
2026-01-31T12:00:00+0000 gw localctl[1]: password=geheim-3 "token": "geheim-4"
2026-01-31T12:00:00+0000 gw localctl[1]: the end
"""


def programs(folder: Path) -> str:
    """A PATH with a journal that holds secrets before all else."""
    folder.mkdir()
    (folder / "logged").write_text(LOGGED)
    (folder / "journalctl").write_text(f"#!/bin/sh\ncat {folder}/logged\n")
    (folder / "journalctl").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


async def bundle(
    cwd: Path, *arguments: str, path: str, wrapper: Sequence[str] = ()
) -> tuple[int, list[str], list[str]]:
    """Run it there; its exit status and what it said."""
    command = [*wrapper, "env", "-C", str(cwd), f"PATH={path}", str(executable()), "bundle", *arguments]
    run = await Process.start(command)
    return await run.over(), run.out, run.err


def unpacked(content: bytes) -> dict[str, str]:
    """The texts of an archive by their names, and one that holds all names."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        texts = {"": "\n".join(archive.getnames())}
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file is not None
            texts[member.name.partition("/")[2]] = file.read().decode()
    return texts


def secrets_in(texts: dict[str, str]) -> list[str]:
    """Where a secret is left."""
    return [name for name, text in texts.items() if "geheim" in text or "Z2VoZWlt" in text or "TEMtMDAwMT" in text]


async def test_of_a_daemon_that_runs(tmp_path: Path) -> None:
    """Every part is there, under the identity's name and for its owner alone; planted secrets are in none."""
    here = tmp_path / "here"
    here.mkdir()
    (tmp_path / "fw").write_bytes(b"firmware")
    async with Csms() as csms, Daemon(tmp_path, csms.url, {"csms": {"basic_auth_password": SECRET}}) as daemon:
        await daemon.ready()
        config = ("--config", str(daemon.config_file))
        publish = await Process.start(
            [str(executable()), "publish", *config, str(tmp_path / "fw"), "--name", f"{SECRET}.bin"]
        )
        assert await publish.over() == 0
        code, out, err = await bundle(here, *config, path=programs(tmp_path / "bin"))
    assert (code, err) == (0, [])
    [archive] = here.iterdir()
    assert archive.name.startswith("localctl-LC-0001-20")
    assert archive.name.endswith("Z.tar.gz")
    assert archive.stat().st_mode & 0o777 == 0o600
    texts = unpacked(archive.read_bytes())
    assert secrets_in({**texts, "stdout": "\n".join(out)}) == []
    status = json.loads(texts["status.json"])
    assert (status["identity"], status["firmware"][0]["name"]) == ("LC-0001", "(removed).bin")
    assert "localctl_csms_connected 1.0" in texts["metrics.txt"]
    assert texts["log.txt"].endswith("the end\n")
    assert 'identity = "LC-0001"' in texts["config.toml"]
    assert "exit status " in texts["check.txt"]
    assert "bound       publish.http 127.0.0.1:" in texts["listeners.txt"]
    assert "localctl.db" in texts["state.txt"]
    assert all(any(line.startswith(name) for line in out) for name in texts if name not in {"", "README.txt"})
    assert out[-1].endswith("bytes. No password is in it.")


async def test_of_one_that_does_not_run_with_a_broken_configuration(tmp_path: Path) -> None:
    """Still 0: what cannot be had is a note, and the file that is no TOML hides what it holds."""
    path = tmp_path / "c.toml"
    path.write_text(
        f'[controller\nidentity = "LC"\n[csms]\nbasic_auth_password = "{SECRET}\n# old: geheim-9\n'
        '[admin]\npassword = "geheim-5"\n'
    )
    code, out, _ = await bundle(
        tmp_path, "--config", str(path), "a.tar.gz", path=programs(tmp_path / "bin"), wrapper=ALONE
    )
    assert code == 0
    texts = unpacked((tmp_path / "a.tar.gz").read_bytes())
    assert secrets_in({**texts, "stdout": "\n".join(out)}) == []
    assert {"config.toml", "check.txt", "status.json.missing", "metrics.txt.missing", "log.txt"} <= set(texts)
    assert "exit status 78" in texts["check.txt"]
    assert "[csms]" in texts["config.toml"]


async def test_without_anything_at_all(tmp_path: Path) -> None:
    """No configuration, no daemon, no journal: why, each time."""
    code, _, _ = await bundle(tmp_path, "--config", "/nowhere/c.toml", "a.tar.gz", path="/nowhere")
    assert code == 0
    texts = unpacked((tmp_path / "a.tar.gz").read_bytes())
    assert texts["config.toml.missing"] == "/nowhere/c.toml cannot be read: No such file or directory\n"
    assert texts["log.txt.missing"] == "there is no journalctl here\n"
    assert "localctl-unknown-" in texts[""]


def test_to_stdout(tmp_path: Path) -> None:
    """The archive there, what is in it on stderr."""
    command = [str(executable()), "bundle", "--config", str(tmp_path / "c.toml"), "-"]
    done = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path)
    assert "versions.txt" in unpacked(done.stdout)
    assert b"stdout: " in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_of_the_folder_is_run(tmp_path: Path) -> None:
    """A module that somebody has left where root stands is not imported by the check, which runs all the same."""
    (tmp_path / "click.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w').close()")
    command = [str(executable()), "bundle", "--config", str(tmp_path / "c.toml"), "-"]
    done = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path)
    assert "exit status 78" in unpacked(done.stdout)["check.txt"]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("there", "is there already: name another file"),
        ("nowhere/x", "cannot be written: No such file or directory"),
        ("x" * 300, "cannot be written: File name too long"),
    ],
)
async def test_where_it_cannot_go(tmp_path: Path, file: str, words: str) -> None:
    """Nothing is written over."""
    (tmp_path / "there").write_text("mine")
    code, _, err = await bundle(tmp_path, "--config", "/nowhere/c.toml", file, path="/nowhere")
    assert (code, words in err[-1]) == (2, True)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of an archive is taken away."""
    opened = os.open

    def full(path: Path, *_: int) -> int:
        os.close(opened(path, os.O_CREAT))
        return opened("/dev/full", os.O_WRONLY)

    with monkeypatch.context() as patched:
        patched.setattr("localctl.commands.bundle.os.open", full)
        with pytest.raises(click.UsageError, match="No space left on device"):
            _write(tmp_path / "a.tar.gz", b"x")
    assert list(tmp_path.iterdir()) == []


def test_not_to_a_terminal() -> None:
    """It would only do harm there."""
    ours, its = pty.openpty()
    done = subprocess.run([executable(), "bundle", "-"], stdout=its, stderr=subprocess.PIPE, check=False)
    os.close(ours)
    os.close(its)
    assert (done.returncode, b"nothing for a terminal" in done.stderr) == (2, True)
