"""The configuration: TOML in, frozen sections out, or every fault at once.

A fault reads ``FILE: section.key: what is wrong; allowed: what is allowed`` (``interface.md``, Commands). A secret is a
``SecretStr`` from the moment it is read, and no fault repeats its value.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr, ValidationError

from localctl.errors import ConfigurationError
from localctl.faults import sentences, syntax_sentence
from localctl.section import Section
from localctl.sections import (
    Admin,
    Config,
    Controller,
    Csms,
    Firmware,
    Log,
    Publish,
    PublishFtp,
    PublishHttp,
    PublishHttps,
)
from localctl.station_sections import Stations, StationsWs, StationsWss

__all__ = [
    "CREDENTIAL",
    "DEFAULT_PATH",
    "SECRETS",
    "SERVICE_CREDENTIALS",
    "Admin",
    "Config",
    "Controller",
    "Csms",
    "Firmware",
    "Log",
    "Publish",
    "PublishFtp",
    "PublishHttp",
    "PublishHttps",
    "Section",
    "Stations",
    "StationsWs",
    "StationsWss",
    "load",
    "parse",
    "read",
    "read_secret",
    "understand",
    "with_secrets",
]

DEFAULT_PATH: Final = "/etc/localctl/config.toml"
SERVICE_CREDENTIALS: Final = "/run/credentials/localctl.service"  # where systemd keeps its own (systemd.exec(5))
CREDENTIAL: Final = "credential:"
SECRETS: Final = (("csms", "basic_auth_password"), ("admin", "password"))  # each beside a key that ends in _file


def load(path: Path, environ: Mapping[str, str] | None = os.environ) -> Config:
    """Read and check the file at ``path``.

    Secrets named by ``…_file`` are read too, but where ``environ`` is None: a command that only asks the daemon has no
    use for them, and no right to systemd's credentials. Raises ConfigurationError with every fault found.
    """
    return understand(read(path), str(path), environ)


def read(path: Path) -> bytes:
    """The file at ``path``. Raises ConfigurationError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as fault:
        line = f"{path}: cannot be read: {fault.strerror}; allowed: a readable TOML file (--config names it)"
        raise ConfigurationError((line,)) from None


def understand(content: bytes, name: str, environ: Mapping[str, str] | None) -> Config:
    """Check a file's content; ``name`` and ``environ`` are as in ``parse``."""
    try:
        text = content.decode()
        tree = tomllib.loads(text)
    except UnicodeDecodeError as fault:
        number = content.count(b"\n", 0, fault.start) + 1
        raise ConfigurationError((f"{name}: line {number}: is not UTF-8; allowed: text saved as UTF-8",)) from None
    except (ValueError, RecursionError) as fault:  # tomllib's own error is a ValueError; so is a number without end
        raise ConfigurationError((f"{name}: {syntax_sentence(str(fault), text)}",)) from None
    return parse(tree, name, environ)


def parse(tree: Mapping[str, Any], name: str, environ: Mapping[str, str] | None) -> Config:
    """Check a parsed TOML document; ``name`` stands for it in faults, ``environ`` is as in ``load``."""
    try:
        config = Config.model_validate(_listed(tree))
    except ValidationError as fault:
        raise ConfigurationError(tuple(f"{name}: {line}" for line in sentences(fault, Config, tree))) from None
    return config if environ is None else with_secrets(config, name, environ)


def _listed(value: Any) -> Any:
    """TOML's lists as the tuples that strict, frozen sections hold."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return tuple(_listed(item) for item in value) if isinstance(value, list) else value


def with_secrets(config: Config, name: str, environ: Mapping[str, str]) -> Config:
    """The configuration with the secrets that its ``…_file`` keys name. Raises ConfigurationError."""
    faults = []
    found = {}
    for section, key in SECRETS:
        settings = getattr(config, section)
        reference = getattr(settings, f"{key}_file")
        if not reference:
            continue
        try:
            secret = SecretStr(read_secret(reference, environ))
        except ValueError as fault:
            # Where a password was written in place of its file's path, it must not be printed.
            shown = f'"{reference}"' if "/" in reference or reference.startswith(CREDENTIAL) else "the value"
            line = f"{name}: {section}.{key}_file: {shown} {fault}"
            faults.append(f"{line}; allowed: a readable file that holds the password, or credential:NAME")
        else:
            found[section] = settings.model_copy(update={key: secret})
    if faults:
        raise ConfigurationError(tuple(faults))
    return config.model_copy(update=found)


def read_secret(reference: str, environ: Mapping[str, str]) -> str:
    """The text of a path or of ``credential:NAME`` (a systemd credential), without the line's end.

    Raises ValueError, with the reason in words that follow the reference.
    """
    path = Path(reference)
    if reference.startswith(CREDENTIAL):
        credential = reference.removeprefix(CREDENTIAL)
        if "/" in credential or credential in {"", ".", ".."}:
            raise ValueError("does not name a credential")
        if "CREDENTIALS_DIRECTORY" not in environ:
            raise ValueError("cannot be read: systemd passed no credentials (LoadCredential= in the unit)")
        path = Path(environ["CREDENTIALS_DIRECTORY"], credential)
    try:
        secret = path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as fault:
        raise ValueError(f"cannot be read: {fault.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    if not secret:
        raise ValueError("is empty")
    return secret
