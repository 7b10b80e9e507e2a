"""Who holds a port, a lock, or a port for us: on this machine, and in text as the kernel and systemd write it."""

import fcntl
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from localctl.checking.holders import (
    Handed,
    handed_over,
    listened_by,
    listening_inodes,
    lock_holder,
    locked_by,
    processes_on,
)

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:22B7 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:22B7 0100007F:A000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0
   2: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0
"""
LOCKS = """\
1: POSIX  ADVISORY  WRITE 811 fe:00:900 0 EOF
2: FLOCK  ADVISORY  WRITE 812 fe:00:900 0 EOF
2: -> FLOCK  ADVISORY  WRITE 813 fe:00:900 0 EOF
3: FLOCK  ADVISORY  WRITE 814 08:01:900 0 EOF
"""
SHOWN = "Listen=[::]:21 (Stream)\nListen=0.0.0.0:80 (Stream)\nListen=/run/x (Stream)\n"


def test_a_listener_is_named_by_its_process() -> None:
    """Of this process's own port its name and number are told; of a port that is free nothing is."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        [holder] = processes_on(port)
        assert holder.endswith(f"(process {os.getpid()})")
    assert processes_on(port) == []


def test_only_what_listens_holds_a_port() -> None:
    """Connections of the same port are others' business."""
    assert listening_inodes(TABLE, 8887) == {"4711"}
    assert listening_inodes(TABLE, 80) == {"4713"}


def test_a_lock_is_seen_and_not_tried(tmp_path: Path) -> None:
    """Another process's lock names it; once it is gone nobody does; a file that is not there is nobody's."""
    path = tmp_path / "lock"
    hold = f"import fcntl; f = open({str(path)!r}, 'w'); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        assert lock_holder(path) == holder.pid
        holder.communicate(b"\n")
    assert lock_holder(path) is None
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert lock_holder(path) == os.getpid()
        assert lock_holder(path, tmp_path / "nothing") is None
    assert lock_holder(tmp_path / "nothing") is None


def test_the_lock_is_the_file_s_own() -> None:
    """By device and inode, of the kind that the daemon takes; btrfs and overlayfs have no device that agrees."""
    assert locked_by(LOCKS, os.makedev(0xFE, 0), 900) == 812
    assert locked_by(LOCKS, os.makedev(8, 1), 900) == 814
    assert locked_by(LOCKS, os.makedev(8, 1), 901) is None
    assert locked_by(LOCKS, os.makedev(0, 42), 900) == 812


def test_systemd_s_ports() -> None:
    """Those of a socket unit that is active, or will be, and of TCP."""
    ports = frozenset({21, 80})
    assert listened_by(f"{SHOWN}ActiveState=active\nUnitFileState=disabled\n") == Handed(ports, held=True)
    assert listened_by(f"{SHOWN}ActiveState=inactive\nUnitFileState=enabled\n") == Handed(ports)
    assert listened_by(f"{SHOWN}ActiveState=inactive\nUnitFileState=disabled\n") == Handed()


def test_systemd_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its command says counts; where there is none, or it hangs, there are no such ports."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("localctl.checking.holders._SYSTEMCTL_SECONDS", 30)
    assert handed_over() == Handed()
    command = tmp_path / "systemctl"
    command.write_text(f"#!/bin/sh\n[ $2 = localctl.socket ] && echo '{SHOWN}ActiveState=active'\n")
    command.chmod(0o755)
    assert handed_over() == Handed(frozenset({21, 80}), held=True)
    command.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    monkeypatch.setattr("localctl.checking.holders._SYSTEMCTL_SECONDS", 0.01)
    assert handed_over() == Handed()
