"""The sections of the stations' leg: their listeners, and how stations prove who they are. Rules: no I/O."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from localctl.section import Section, check_pair
from localctl.values import (
    Address,
    FilePath,
    Listen,
    PositiveCount,
    PositiveSize,
    RequiredPath,
    Seconds,
    Serials,
    Versions,
)


class StationsWs(Section):
    """The stations' plain WebSocket listener: security profiles 0 and 1."""

    listen: Listen = Address("0.0.0.0", 8887)


class StationsWss(Section):
    """The stations' TLS listener: security profile 2, and 3 where ``client_ca_file`` is set."""

    listen: Listen = Address("0.0.0.0", 8443)
    cert_file: RequiredPath
    key_file: RequiredPath
    rsa_cert_file: FilePath = ""
    rsa_key_file: FilePath = ""
    client_ca_file: FilePath = ""
    certificate_identity: Annotated[Literal["cn", "any"], Field(description='"cn" or "any"')] = "cn"
    serials: Serials = Field(default_factory=dict)
    min_tls: Annotated[Literal["1.0", "1.1", "1.2", "1.3"], Field(description='"1.0" to "1.3"')] = "1.2"

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        check_pair(self.rsa_cert_file, self.rsa_key_file, "rsa_")
        if self.serials and (not self.client_ca_file or self.certificate_identity == "any"):
            raise ValueError(
                'serials: is of no use so; allowed: beside client_ca_file, with certificate_identity = "cn"'
            )
        return self


class Stations(Section):
    """The relay."""

    ocpp_versions: Annotated[Versions, Field(description='a list of "2.1", "2.0.1" and "1.6"')] = (
        "2.1",
        "2.0.1",
        "1.6",
    )
    allowed_identities: Annotated[tuple[str, ...], Field(description="a list of glob patterns; empty: any")] = ()
    authentication: Annotated[Literal["csms", "local"], Field(description='"csms" or "local"')] = "csms"
    password_file: FilePath = ""
    max_stations: PositiveCount = 1000
    max_message_size: PositiveSize = 2**20
    ping_interval_seconds: Seconds = 30
    ws: StationsWs | None = None
    wss: StationsWss | None = None

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if self.authentication == "local" and not self.password_file:
            raise ValueError(
                'password_file: is missing with authentication = "local"; allowed: the path of a readable file'
            )
        if self.authentication == "csms" and self.password_file:  # who sets it means to have passwords checked
            raise ValueError('password_file: is of no use so; allowed: with authentication = "local"')
        return self
