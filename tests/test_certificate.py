"""The validity of certificates, read from PEM files."""

from datetime import UTC, datetime

import pytest
import trustme
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from localctl.certificate import Validity, is_rsa, name_of, validities


@pytest.mark.parametrize("ends", [datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)])
def test_both_forms_of_time_are_read(ends: datetime) -> None:
    """Up to 2049 a certificate's time has two digits for the year, later four (RFC 5280, 4.1.2.5)."""
    begins = datetime(1999, 12, 31, 1, 2, 3, tzinfo=UTC)
    pem = trustme.CA().issue_cert("csms.example", not_before=begins, not_after=ends).cert_chain_pems[0].bytes()
    assert validities(pem) == (Validity(begins.timestamp(), ends.timestamp()),)


@pytest.mark.parametrize("key_type", trustme.KeyType)
def test_every_certificate_of_a_file_is_read_in_order(key_type: trustme.KeyType) -> None:
    """A chain is told as somebody else's parser tells it, whatever else stands in the file."""
    leaf = trustme.CA(key_type=key_type).create_child_ca().issue_cert("csms.example", key_type=key_type)
    pem = b"# Z\xc3\xbcrich\n" + leaf.private_key_and_cert_chain_pem.bytes()
    expected = [
        Validity(one.not_valid_before_utc.timestamp(), one.not_valid_after_utc.timestamp())
        for one in x509.load_pem_x509_certificates(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    ]
    assert list(validities(pem)) == expected
    assert len(expected) == 2


@pytest.mark.parametrize("key_type", trustme.KeyType)
def test_the_kind_is_the_first_certificate_s(key_type: trustme.KeyType) -> None:
    """RSA or not is told by the key of the one that is shown, whoever issued it and whatever key stands before it."""
    for issuer in trustme.KeyType:
        leaf = trustme.CA(key_type=issuer).issue_cert("csms.example", key_type=key_type)
        assert is_rsa(leaf.private_key_and_cert_chain_pem.bytes()) is (key_type is trustme.KeyType.RSA)


def test_what_is_no_certificate_is_not_rsa() -> None:
    """A key alone or nothing has no kind."""
    assert not is_rsa(b"")
    assert not is_rsa(trustme.CA().private_key_pem.bytes())


@pytest.mark.parametrize("key_type", trustme.KeyType)
def test_for_whom_it_is(key_type: trustme.KeyType) -> None:
    """The commonName of the one that is shown; without one the first of its alternative names, or nothing."""
    issuer = trustme.CA(key_type=key_type)

    def name(*names: str, common_name: str | None = None) -> str:
        leaf = issuer.issue_cert(*names, common_name=common_name, key_type=key_type)
        return name_of(leaf.private_key_and_cert_chain_pem.bytes())

    assert name("a.example", common_name="Zürich") == "Zürich"
    assert name("a.example", "b.example") == "a.example"
    assert name("192.0.2.7") == "192.0.2.7"
    assert name("2001:db8::1") == "2001:db8::1"
    assert name("joe@a.example") == ""
    assert name_of(b"") == ""


def test_file_without_certificates_has_none() -> None:
    """A key or nothing is not a certificate, and no fault either: who reads the file decides."""
    assert validities(b"") == ()
    assert validities(trustme.CA().private_key_pem.bytes()) == ()


@given(data=st.binary(max_size=200))
def test_damaged_certificate_is_a_value_error(data: bytes) -> None:
    """Whatever stands between the lines of a certificate, nothing but ValueError is raised."""
    for read in (validities, is_rsa, name_of):
        with pytest.raises(ValueError, match=r".*"):
            read(b"-----BEGIN CERTIFICATE-----" + data + b"-----END CERTIFICATE-----")


@given(cut=st.integers(min_value=0, max_value=200))
def test_certificate_cut_short_is_a_value_error(cut: int) -> None:
    """A certificate that ends before its validity does is damaged."""
    lines = PEM.split(b"\n")
    body = b"".join(lines[1:-2])[: cut // 4 * 4]
    with pytest.raises(ValueError, match="is not a certificate"):
        validities(b"-----BEGIN CERTIFICATE-----" + body + b"-----END CERTIFICATE-----")


PEM = trustme.CA().cert_pem.bytes()
