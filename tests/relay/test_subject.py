"""Whom a certificate names, and what a BootNotification may say beside it."""

import json
import ssl
from pathlib import Path

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from localctl.relay import subject
from localctl.relay.subject import common_name, contradicts, judge

BOOT_16 = {"chargePointVendor": "V", "chargePointModel": "M"}
BOOT_201 = {"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M"}}


def call(payload: object, action: str = "BootNotification", kind: int = 2) -> bytes:
    """A message of a station."""
    return json.dumps([kind, "id-1", action, payload]).encode()


def boot_201(serial: object) -> bytes:
    """A BootNotification of OCPP 2.0.1 or 2.1."""
    return call({"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M", "serialNumber": serial}})


def test_common_name_of_what_python_tells() -> None:
    """As ``getpeercert`` has it: names of one value each, or several."""
    names = ((("organizationName", "CSO"),), (("commonName", "SN-1"),))
    assert common_name({"subject": names}) == "SN-1"
    assert common_name({"subject": ((("organizationName", "CSO"), ("commonName", "SN-1")),)}) == "SN-1"


@pytest.mark.parametrize(
    "certificate",
    [
        None,
        {},
        {"subject": ()},
        {"subject": ((("organizationName", "SN-1"),),)},
        {"subject": ((("commonName", "SN-1"),), (("commonName", "SN-2"),))},
    ],
)
def test_no_common_name_or_two_name_nobody(certificate: dict[str, object] | None) -> None:
    """A00.FR.511: the subject has one commonName; with two, a station could be either."""
    assert common_name(certificate) == ""


def test_common_name_of_a_real_certificate(tmp_path: Path) -> None:
    """What Python tells of a certificate is what is read here."""
    path = tmp_path / "c.pem"
    trustme.CA().issue_cert(common_name="SN-Säule/7").cert_chain_pems[0].write_to_path(str(path))
    decoded = ssl._ssl._test_decode_cert(str(path))  # type: ignore[attr-defined]  # what getpeercert is made of
    assert common_name(decoded) == "SN-Säule/7"


@pytest.mark.parametrize(
    ("identity", "name", "serials"),
    [
        ("CS-1", "CS-1", {}),
        ("cs-1", "CS-1", {}),
        ("CS-1", "SN-1", {"CS-1": "SN-1"}),
        ("cs-1", "sn-1", {"CS-0": "SN-0", "CS-1": "SN-1"}),
        ("CS-1", "CS-1", {"CS-1": "SN-1"}),
    ],
)
def test_the_common_name_is_the_identity_or_its_serial_number(
    identity: str, name: str, serials: dict[str, str]
) -> None:
    """A00.FR.405: by itself or by the table; upper and lower case are the same."""
    assert judge(identity, name, serials, "cn") is None


@pytest.mark.parametrize(
    ("identity", "name", "serials"),
    [
        ("CS-1", "CS-2", {}),
        ("CS-1", "SN-1", {}),
        ("CS-1", "SN-1", {"CS-2": "SN-1"}),
        ("CS-1", "CS-1x", {"CS-1": "SN-1"}),
        ("CS-1", "", {}),
        ("", "", {}),
    ],
)
def test_another_common_name_is_403(identity: str, name: str, serials: dict[str, str]) -> None:
    """A00.FR.405: the certificate of another station, however much we trust its issuer. No password would help: 403."""
    refusal = judge(identity, name, serials, "cn")
    assert refusal is not None
    assert (refusal.status, refusal.result, refusal.body) == (403, "certificate", b"")
    assert (repr(name) if name else "no commonName") in refusal.why


def test_any_certificate_will_do_where_the_installer_says_so() -> None:
    """``certificate_identity = "any"``: the manufacturer's names mean nothing here."""
    assert judge("CS-1", "whoever", {}, "any") is None
    assert judge("CS-1", "", {}, "any") is None


@pytest.mark.parametrize(
    "message",
    [
        boot_201("SN-2"),
        boot_201("SN-11"),
        call(BOOT_16 | {"chargePointSerialNumber": "SN-2"}),
        call(BOOT_16 | {"chargeBoxSerialNumber": "SN-2"}),
        call(BOOT_16 | {"chargePointSerialNumber": "SN-2", "chargeBoxSerialNumber": "SN-3"}),
        boot_201("SN-2").replace(b"Boot", b"\\u0042oot"),
        b' [ 2 ,\n"x" , "BootNotification", {"chargingStation":{"serialNumber":"SN-2"}} ] ',
        call({"chargePointSerialNumber": "SN-1", "chargingStation": {"serialNumber": "SN-2"}}),
    ],
)
def test_another_serial_number_contradicts(message: bytes) -> None:
    """B01.FR.11, FR.12: of any version, however it is written."""
    assert contradicts(message, "SN-1")


@pytest.mark.parametrize(
    "message",
    [
        boot_201("SN-1"),
        boot_201("sn-1"),
        boot_201(""),
        boot_201(None),
        boot_201(7),
        call(BOOT_201),
        call(BOOT_16),
        call(BOOT_16 | {"chargePointSerialNumber": "SN-1"}),
        call(BOOT_16 | {"chargePointSerialNumber": "SN-1", "chargeBoxSerialNumber": "Box"}),
        call(BOOT_16 | {"chargePointSerialNumber": ""}),
        call({"data": "BootNotification", "chargingStation": {"serialNumber": "SN-2"}}, action="DataTransfer"),
        call({"chargingStation": {"serialNumber": "SN-2"}}, kind=3),
        call("é", action="DataTransfer"),
        call([]),
        call(None),
        b'[2,"x","BootNotification"]',
        b'{"BootNotification": 1}',
        b'"BootNotification"',
        b'[2,"x","BootNotification",{"chargingStation":',
        b'\xff"BootNotification"',
        b'["BootNotification",' * 100_000,
        b'[2,"x","BootNotification",{"chargingStation":' + b"9" * 5000 + b"}]",
        b"",
    ],
)
def test_whatever_tells_no_other_serial_number_passes(message: bytes) -> None:
    """The right one, none, another message, and nonsense, which is the CSMS's to answer (Part 4 §6.4)."""
    assert not contradicts(message, "SN-1")


def test_without_a_name_nothing_contradicts() -> None:
    """Security profiles 0 to 2 have no certificate."""
    assert not contradicts(boot_201("SN-2"), "")


def test_other_messages_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The relay's messages are looked through for a word, and no JSON is read of them."""
    monkeypatch.setattr(subject, "_told", None)
    assert not contradicts(call({"connectorId": 1}, action="MeterValues"), "SN-1")


@settings(deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=60))
def test_nothing_upsets_it(before: bytes, after: bytes) -> None:
    """Whatever stands about the word."""
    assert contradicts(before + b'"BootNotification"' + after, "SN-1") in {True, False}
