"""The configuration: TOML in, frozen sections out, or every fault at once.

One section a room. Unknown keys are faults, values are never mended, and a key that this version does not obey yet is
refused by name rather than ignored. A fault reads ``FILE: section.key: what is wrong; allowed: what is allowed``
(``interface.md``, Commands). A secret is a ``SecretStr`` from the moment it is read, and no fault repeats its value.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from localctl.errors import ConfigurationError
from localctl.faults import sentences
from localctl.values import (
    Address,
    Count,
    FilePath,
    Listen,
    OcppVersion,
    OptionalListen,
    Ports,
    PositiveCount,
    PositiveSeconds,
    Seconds,
    Size,
    check_csms_url,
    check_identity,
)

DEFAULT_PATH: Final = "/etc/localctl/config.toml"
_MISSING: Final = object()

Identity = Annotated[str, AfterValidator(check_identity), Field(description='1 to 48 characters, no ":", "/" or space')]
CsmsUrl = Annotated[str, AfterValidator(check_csms_url), Field(description='"ws://HOST[:PORT][/PATH]" or "wss://…"')]
Versions = Annotated[tuple[OcppVersion, ...], Field(min_length=1)]


class Section(BaseModel):
    """What every section obeys: strict, frozen, unknown keys refused."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True
    )


class Controller(Section):
    """Who we are to the CSMS."""

    identity: Identity
    vendor_name: Annotated[str, Field(min_length=1, max_length=50, description="1 to 50 characters")] = "localctl"
    model: Annotated[str, Field(min_length=1, max_length=20, description="1 to 20 characters")] = "localctl"
    serial_number: Annotated[str, Field(max_length=25, description="at most 25 characters")] = ""
    state_dir: Annotated[str, Field(pattern="^/", description="the absolute path of a folder")] = "/var/lib/localctl"


class Csms(Section):
    """The CSMS, and how we reach it."""

    url: CsmsUrl
    ocpp_versions: Annotated[Versions, Field(description='a list of "2.1" and "2.0.1", best first')] = ("2.1", "2.0.1")
    basic_auth_password: Annotated[SecretStr, Field(description="text")] = SecretStr("")
    basic_auth_password_file: Annotated[
        str, Field(description='the path of a readable file, "credential:NAME" for a systemd credential, or empty')
    ] = ""
    ca_file: FilePath = ""
    cert_file: FilePath = ""
    key_file: FilePath = ""
    connect_timeout_seconds: PositiveSeconds = 10
    call_timeout_seconds: PositiveSeconds = 30
    ping_interval_seconds: Seconds = 30
    retry_backoff_wait_minimum_seconds: PositiveSeconds = 5
    retry_backoff_random_range_seconds: Seconds = 5
    retry_backoff_repeat_times: Count = 5

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if "1.6" in self.ocpp_versions:
            raise ValueError("ocpp_versions: 1.6 has no PublishFirmware")
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("cert_file: is of no use without key_file, nor the reverse; set both or none")
        if self.basic_auth_password.get_secret_value() and self.basic_auth_password_file:
            raise ValueError("basic_auth_password: is given twice; set it or basic_auth_password_file")
        return self


class StationsWs(Section):
    """The stations' plain WebSocket listener."""

    listen: Listen = Address("0.0.0.0", 8887)  # noqa: S104  the LAN is where stations are


class StationsWss(Section):
    """The stations' TLS listener."""

    listen: Listen = Address("0.0.0.0", 8443)  # noqa: S104
    cert_file: FilePath
    key_file: FilePath
    client_ca_file: FilePath = ""
    min_tls: Annotated[Literal["1.0", "1.1", "1.2", "1.3"], Field(description='"1.0" to "1.3"')] = "1.2"


class Stations(Section):
    """The relay."""

    ocpp_versions: Annotated[Versions, Field(description='a list of "2.1", "2.0.1" and "1.6"')] = (
        "2.1",
        "2.0.1",
        "1.6",
    )
    allowed_identities: Annotated[tuple[str, ...], Field(description="a list of glob patterns; empty: any")] = ()
    max_stations: PositiveCount = 1000
    max_message_size: Size = 2**20
    ping_interval_seconds: Seconds = 30
    ws: StationsWs | None = None
    wss: StationsWss | None = None


class Firmware(Section):
    """Fetching what the CSMS asks us to publish."""

    retries: Count = 3
    retry_interval_seconds: PositiveSeconds = 60
    connect_timeout_seconds: PositiveSeconds = 15
    idle_timeout_seconds: PositiveSeconds = 60
    max_file_size: Size = 2 * 2**30
    min_free_space: Size = 256 * 2**20
    max_rate: Size = 0
    max_concurrent_downloads: PositiveCount = 2
    download_window: Annotated[str, Field(description='"HH:MM-HH:MM", local time, or empty')] = ""
    allowed_origins: Annotated[tuple[str, ...], Field(description="a list of host globs; empty: any public one")] = ()
    ca_file: FilePath = ""


class PublishHttp(Section):
    """Serving over HTTP."""

    listen: Listen = Address("0.0.0.0", 8080)  # noqa: S104


class PublishHttps(Section):
    """Serving over HTTPS."""

    listen: Listen = Address("0.0.0.0", 8444)  # noqa: S104
    cert_file: FilePath
    key_file: FilePath


class PublishFtp(Section):
    """Serving over FTP."""

    listen: Listen = Address("0.0.0.0", 2121)  # noqa: S104
    passive_ports: Ports = range(50000, 50200)
    cert_file: FilePath = ""
    key_file: FilePath = ""


class Publish(Section):
    """Handing files to stations."""

    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]*$", description="a host name or an IP address, or empty")] = ""
    idle_timeout_seconds: PositiveSeconds = 120
    max_transfers: PositiveCount = 500
    max_transfers_per_address: Count = 0
    http: PublishHttp | None = None
    https: PublishHttps | None = None
    ftp: PublishFtp | None = None


class Admin(Section):
    """Metrics, health and API."""

    listen: OptionalListen = Address("127.0.0.1", 9188)
    per_station_metrics: Annotated[bool, Field(description="true or false")] = False


class Log(Section):
    """What is logged, and how."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description='"debug", "info", "warning" or "error"')
    ] = "info"
    format: Annotated[Literal["text", "json"], Field(description='"text" or "json"')] = "text"


class Config(Section):
    """The whole file."""

    controller: Controller
    csms: Csms
    stations: Stations = Stations()
    firmware: Firmware = Firmware()
    publish: Publish = Publish()
    admin: Admin = Admin()
    log: Log = Log()


# Keys that exist and are not obeyed yet: refused by name when they ask for something, never ignored.
NOT_OBEYED: Final[Mapping[str, object]] = {
    "stations.wss": None,
    "firmware.max_rate": 0,
    "firmware.download_window": "",
    "publish.https": None,
    "publish.ftp.cert_file": "",
    "publish.ftp.key_file": "",
    "admin.per_station_metrics": False,
}


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Read and check the file at ``path``.

    Secrets named by ``…_file`` are read too. Raises ConfigurationError with every fault found.
    """
    try:
        with path.open("rb") as file:
            tree = tomllib.load(file)
    except OSError as fault:
        raise ConfigurationError((f"{path}: cannot be read: {fault.strerror}",)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise ConfigurationError((f"{path}: is not TOML: {fault}",)) from None
    return parse(tree, str(path), environ)


def parse(tree: Mapping[str, Any], name: str, environ: Mapping[str, str]) -> Config:
    """Check a parsed TOML document; ``name`` stands for it in faults."""
    try:
        config = Config.model_validate(_listed(tree))
    except ValidationError as fault:
        raise ConfigurationError(tuple(f"{name}: {line}" for line in sentences(fault, Config, tree))) from None
    refused = [
        f"{name}: {key}: is not supported by this version; leave it out"
        for key, default in NOT_OBEYED.items()
        if _at(config, key) not in (default, _MISSING)
    ]
    if refused:
        raise ConfigurationError(tuple(refused))
    return _with_password(config, name, environ)


def _listed(value: Any) -> Any:
    """TOML's lists as the tuples that strict, frozen sections hold."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return tuple(_listed(item) for item in value) if isinstance(value, list) else value


def _at(config: object, key: str) -> object:
    for part in key.split("."):
        if config is None:
            return _MISSING
        config = getattr(config, part)
    return config


def _with_password(config: Config, name: str, environ: Mapping[str, str]) -> Config:
    """The configuration with the secret that ``basic_auth_password_file`` names."""
    reference = config.csms.basic_auth_password_file
    if not reference:
        return config
    try:
        secret = read_secret(reference, environ)
    except (OSError, UnicodeDecodeError, KeyError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "is not text"
        if isinstance(fault, KeyError):
            reason = "systemd passed no credentials (LoadCredential= in the unit)"
        line = f"{name}: csms.basic_auth_password_file: {reference!r} cannot be read: {reason}"
        raise ConfigurationError((f"{line}; allowed: a readable file, or credential:NAME",)) from None
    csms = config.csms.model_copy(update={"basic_auth_password": SecretStr(secret)})
    return config.model_copy(update={"csms": csms})


def read_secret(reference: str, environ: Mapping[str, str]) -> str:
    """The text of a path or of ``credential:NAME``, without the line's end.

    Raises OSError, UnicodeDecodeError, or KeyError where systemd passed no credentials.
    """
    kind, colon, credential = reference.partition(":")
    named = bool(colon) and kind == "credential"
    path = Path(environ["CREDENTIALS_DIRECTORY"], credential) if named else Path(reference)
    return path.read_text(encoding="utf-8").rstrip("\r\n")
