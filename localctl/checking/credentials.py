"""Secrets that systemd passes to its service (``credential:NAME``), as far as whoever checks may read them. Edge.

While the service runs root finds them where systemd keeps them. Else they are nobody's: the configuration is as good as
any, and what needs them is left out.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from localctl.checking.verdict import Check
from localctl.config import CREDENTIAL, SECRETS, SERVICE_CREDENTIALS, Config, load, read_secret, with_secrets


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration without the credentials that ``unread`` names by their dotted keys."""

    config: Config
    unread: tuple[str, ...]


def loaded(path: Path, environ: Mapping[str, str]) -> Loaded:
    """The file at ``path`` and its secrets. Raises ConfigurationError."""
    known = {"CREDENTIALS_DIRECTORY": SERVICE_CREDENTIALS, **environ}
    config, unread = load(path, None), []
    for section, key in SECRETS:
        settings = getattr(config, section)
        reference = getattr(settings, f"{key}_file")
        if reference.startswith(CREDENTIAL) and not _is_readable(reference, known):
            unread.append(f"{section}.{key}_file")
            config = config.model_copy(update={section: settings.model_copy(update={f"{key}_file": ""})})
    return Loaded(with_secrets(config, str(path), known), tuple(unread))


def of_unread(unread: Iterable[str]) -> Iterator[Check]:
    """That they could not be tried."""
    for key in unread:
        what = f"{key}: only the running service has this credential of systemd's, so it is not tried"
        yield Check("warn", what, "Start localctl (systemctl start localctl), and check once more as root (sudo).")


def _is_readable(reference: str, environ: Mapping[str, str]) -> bool:
    try:
        return bool(read_secret(reference, environ))
    except ValueError:
        return False
