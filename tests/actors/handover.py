"""Sockets handed over to a program as systemd does it: sd_listen_fds(3)."""

import sys
from collections.abc import Sequence
from typing import Final

_LAUNCHER: Final = """
import fcntl, os, sys
numbers, *command = sys.argv[1:]
aside = [fcntl.fcntl(int(each), fcntl.F_DUPFD_CLOEXEC, 100) for each in numbers.split(",")]
for place, descriptor in enumerate(aside, 3):
    os.dup2(descriptor, place)
names = ":".join(["test"] * len(aside))
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(aside)), LISTEN_FDNAMES=names)
os.execv(command[0], command)
"""


def handing_over(descriptors: Sequence[int]) -> tuple[str, ...]:
    """The beginning of a command whose rest is run with ``descriptors``, which it has inherited, from 3 on."""
    return (sys.executable, "-c", _LAUNCHER, ",".join(str(each) for each in descriptors))
