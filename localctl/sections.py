"""The sections of the configuration, one a room: their keys, defaults and cross-checks. Rules: no I/O.

What is allowed stands in each field's description; those of the stations' leg are in ``station_sections``.
"""

from itertools import combinations
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from localctl.networks import Networks, is_loopback
from localctl.section import Section, check_pair
from localctl.station_sections import Stations
from localctl.values import (
    WILDCARDS,
    Address,
    Count,
    CsmsUrl,
    DownloadWindow,
    FilePath,
    Identity,
    Listen,
    OptionalListen,
    Ports,
    PositiveCount,
    PositiveSeconds,
    PositiveSize,
    PublishedHost,
    RequiredPath,
    Seconds,
    Size,
    Versions,
)

SecretFile = Annotated[
    FilePath, Field(description='the path of a readable file, "credential:NAME" for a systemd credential, or empty')
]


class Controller(Section):
    """Who we are to the CSMS."""

    identity: Identity
    vendor_name: Annotated[str, Field(min_length=1, max_length=50, description="1 to 50 characters")] = "localctl"
    model: Annotated[str, Field(min_length=1, max_length=20, description="1 to 20 characters")] = "localctl"
    serial_number: Annotated[str, Field(max_length=25, description="at most 25 characters")] = ""
    state_dir: Annotated[str, Field(pattern=r"^/[^\x00]*$", description="the absolute path of a folder")] = (
        "/var/lib/localctl"
    )


class Csms(Section):
    """The CSMS, and how we reach it."""

    url: CsmsUrl
    ocpp_versions: Annotated[Versions, Field(description='a list of "2.1" and "2.0.1", best first')] = ("2.1", "2.0.1")
    basic_auth_password: Annotated[SecretStr, Field(description="text in quotes")] = SecretStr("")
    basic_auth_password_file: SecretFile = ""
    ca_file: FilePath = ""
    cert_file: FilePath = ""
    key_file: FilePath = ""
    connect_timeout_seconds: PositiveSeconds = 10
    call_timeout_seconds: PositiveSeconds = 30
    ping_interval_seconds: Seconds = 30
    retry_backoff_wait_minimum_seconds: PositiveSeconds = 5
    retry_backoff_random_range_seconds: Seconds = 5
    retry_backoff_repeat_times: Count = 5
    max_dials_per_second: PositiveCount = 200
    compression: Annotated[bool, Field(description="true or false")] = True

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if "1.6" in self.ocpp_versions:
            raise ValueError('ocpp_versions: "1.6" has no PublishFirmware; allowed: a list of "2.1" and "2.0.1"')
        check_pair(self.cert_file, self.key_file)
        if self.basic_auth_password.get_secret_value() and self.basic_auth_password_file:
            raise ValueError("basic_auth_password: is given twice; allowed: it or basic_auth_password_file, not both")
        return self


class Firmware(Section):
    """Fetching what the CSMS asks us to publish."""

    retries: Count = 3
    retry_interval_seconds: PositiveSeconds = 60
    connect_timeout_seconds: PositiveSeconds = 15
    idle_timeout_seconds: PositiveSeconds = 60
    max_file_size: PositiveSize = 2 * 2**30
    min_free_space: Size = 256 * 2**20
    max_rate: Size = 0
    max_concurrent_downloads: PositiveCount = 2
    download_window: DownloadWindow = None
    allowed_origins: Annotated[tuple[str, ...], Field(description="a list of host globs; empty: any public one")] = ()
    ca_file: FilePath = ""
    integrity_rate: PositiveSize = 4 * 2**20
    integrity_interval_seconds: PositiveSeconds = 86400


class PublishHttp(Section):
    """Serving over HTTP."""

    listen: Listen = Address("0.0.0.0", 8080)


class PublishHttps(Section):
    """Serving over HTTPS."""

    listen: Listen = Address("0.0.0.0", 8444)
    cert_file: RequiredPath
    key_file: RequiredPath


class PublishFtp(Section):
    """Serving over FTP."""

    listen: Listen = Address("0.0.0.0", 2121)
    passive_ports: Ports = range(50000, 50200)
    cert_file: FilePath = ""
    key_file: FilePath = ""

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        check_pair(self.cert_file, self.key_file)
        return self


class Publish(Section):
    """Handing files to stations."""

    host: PublishedHost = ""
    allowed_networks: Networks = ()
    idle_timeout_seconds: PositiveSeconds = 120
    max_transfers: PositiveCount = 500
    max_transfers_per_address: Count = 0
    http: PublishHttp | None = None
    https: PublishHttps | None = None
    ftp: PublishFtp | None = None


class Admin(Section):
    """Metrics, health, API and the status page."""

    listen: OptionalListen = Address("127.0.0.1", 9188)
    password: Annotated[SecretStr, Field(description="text in quotes")] = SecretStr("")
    password_file: SecretFile = ""
    per_station_metrics: Annotated[bool, Field(description="true or false")] = False

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        inline = self.password.get_secret_value()
        if inline and self.password_file:
            raise ValueError("password: is given twice; allowed: it or password_file, not both")
        if self.listen and not is_loopback(self.listen.host) and not (inline or self.password_file):
            raise ValueError(
                f"listen: {self.listen} can be reached from the network without a password; "
                "allowed: a loopback address such as 127.0.0.1:9188, or admin.password_file as well"
            )
        return self


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
    stations: Stations = Field(default_factory=Stations)
    firmware: Firmware = Field(default_factory=Firmware)
    publish: Publish = Field(default_factory=Publish)
    admin: Admin = Field(default_factory=Admin)
    log: Log = Field(default_factory=Log)

    def listeners(self) -> dict[str, Address]:
        """The address of each listener that is asked for, by the key that names it."""
        found = {
            "stations.ws.listen": self.stations.ws,
            "stations.wss.listen": self.stations.wss,
            "publish.http.listen": self.publish.http,
            "publish.https.listen": self.publish.https,
            "publish.ftp.listen": self.publish.ftp,
        }
        asked = {key: section.listen for key, section in found.items() if section is not None}
        return asked | ({"admin.listen": self.admin.listen} if self.admin.listen else {})

    def told_apart(self) -> int:
        """How many stations may have a series of their own in the metrics."""
        return self.stations.max_stations if self.admin.per_station_metrics else 0

    @model_validator(mode="after")
    def _one_listener_an_address(self) -> Self:
        for (key, first), (other, second) in combinations(self.listeners().items(), 2):
            if _collide(first, second):
                raise ValueError(f"{other}: {second} is taken by {key} already; allowed: a port of its own, or 0")
        return self


def _collide(one: Address, other: Address) -> bool:
    """Whether the second of two listeners could never be bound."""
    if one.port != other.port or one.port == 0 or (":" in one.host) != (":" in other.host):
        return False
    return one.host == other.host or bool({one.host, other.host} & WILDCARDS)
