"""Whose certificates are, and which hosts they are for."""

import pytest
import trustme

from localctl.checking.names import Shown, covers, shown


def test_names_of_a_certificate() -> None:
    """Hosts and addresses, the subject, and who issued it."""
    authority = trustme.CA(organization_name="Example Charging")
    own = authority.issue_cert("gateway.lan", "192.0.2.1", common_name="gateway")
    found = shown(own.cert_chain_pems[0].bytes())
    assert found == Shown("gateway", "Example Charging", ("gateway.lan", "192.0.2.1"))
    assert found.whose == "gateway.lan, 192.0.2.1"
    many = shown(authority.issue_cert(*(f"h{number}" for number in range(9))).cert_chain_pems[0].bytes())
    assert many
    assert many.whose == "h0, h1, h2, h3, h4, …"
    root = shown(authority.cert_pem.bytes())
    assert root
    assert root.whose == "Testing CA #1" or root.subject in root.whose


def test_what_is_no_certificate() -> None:
    """It is not described, and no error."""
    assert shown(b"nonsense") is None
    assert shown(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n") is None


@pytest.mark.parametrize(
    ("name", "host", "covered"),
    [
        ("csms.example", "CSMS.example.", True),
        ("csms.example", "other.example", False),
        ("*.example", "csms.example", True),
        ("*.example", "a.csms.example", False),
        ("*.example", "example", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:DB8:0::1", True),
    ],
)
def test_hosts_that_a_name_covers(name: str, host: str, covered: bool) -> None:  # noqa: FBT001
    """As clients compare them."""
    assert covers(("else.example", name), host) is covered
