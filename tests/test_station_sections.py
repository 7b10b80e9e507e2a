"""The sections of the stations' leg and what they check among their keys; the words of faults are in tests/config."""

import pytest
from pydantic import ValidationError

from localctl.station_sections import Stations, StationsWss

WSS = {"cert_file": "/c", "key_file": "/k"}


def test_certificates_carry_the_identity_unless_told_otherwise() -> None:
    """Security profile 2, TLS 1.2 and, for profile 3, the commonName are the defaults (A00.FR.313, FR.405)."""
    wss = StationsWss.model_validate(WSS)
    assert (wss.client_ca_file, wss.certificate_identity, wss.serials, wss.min_tls) == ("", "cn", {}, "1.2")


def test_serials_are_for_profile_3() -> None:
    """Serial numbers map identities to commonNames, where these count (A00.FR.405)."""
    table = WSS | {"client_ca_file": "/r", "serials": {"CS-1": "SN-1"}}
    assert StationsWss.model_validate(table).serials == {"CS-1": "SN-1"}
    for other in ({"client_ca_file": ""}, {"certificate_identity": "any"}):
        with pytest.raises(ValidationError, match="serials: is of no use so"):
            StationsWss.model_validate(table | other)


def test_passwords_are_the_csms_s_unless_told_otherwise() -> None:
    """With "local" there is a file to check them by, and with "csms" none that somebody could take for obeyed."""
    assert Stations().authentication == "csms"
    assert Stations(authentication="local", password_file="/p").password_file == "/p"
    with pytest.raises(ValidationError, match="password_file: is missing"):
        Stations(authentication="local")
    with pytest.raises(ValidationError, match="password_file: is of no use so"):
        Stations(password_file="/p")
