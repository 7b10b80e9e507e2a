"""The file of stations' passwords: whether every line of it can be used, and who can read it."""

from collections.abc import Iterator

from localctl.checking.verdict import Check, open_to_all
from localctl.errors import ConfigurationError
from localctl.relay.passwords import KEY, read


def of_file(path: str) -> Iterator[Check]:
    """The file that ``stations.password_file`` names."""
    command = "Have `localctl password IDENTITY` print each line, and let localctl's user read the file."
    try:
        known = read(path)
    except ConfigurationError as fault:
        yield from (Check("FAIL", line, command) for line in fault.faults)
        return
    if known:
        stations = "1 station" if len(known) == 1 else f"{len(known)} stations"
        yield Check("ok", f"{KEY}: {path} has the passwords of {stations}")
    else:
        yield Check("warn", f"{KEY}: {path} has no line, so no station is let in", command)
    yield from open_to_all(KEY, path)
