"""Whom a certificate is for and who issued it, as a person reads it. Rules: bytes in."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

_MOST: Final = 5  # names that are told of one certificate


@dataclass(frozen=True, slots=True)
class Shown:
    """``names`` are the hosts that it is for, DNS names and addresses; ``subject``, ``issuer`` as people say them."""

    subject: str
    issuer: str
    names: tuple[str, ...]

    @property
    def whose(self) -> str:
        """Whom it is for, in a few words."""
        few = self.names[:_MOST]
        return ", ".join((*few, "…") if len(few) < len(self.names) else few) or self.subject


def shown(pem: bytes) -> Shown | None:
    """The first certificate of a PEM file; None where it cannot be read so far."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        return Shown(_said(certificate.subject), _said(certificate.issuer), _names(certificate))
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):  # OpenSSL bears more
        return None


def covers(names: Iterable[str], host: str) -> bool:
    """Whether a client that asks for ``host`` accepts one of these names (RFC 6125, 6.4.3; RFC 2818 for addresses)."""
    wanted = _plain(host)
    _, _, parent = wanted.partition(".")
    return any(_plain(name) == wanted or (bool(parent) and _plain(name) == f"*.{parent}") for name in names)


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = found.get_values_for_type(x509.IPAddress)
    return (*found.get_values_for_type(x509.DNSName), *(str(address) for address in addresses))


def _said(name: x509.Name) -> str:
    for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        for attribute in name.get_attributes_for_oid(kind):
            return str(attribute.value)
    return name.rfc4514_string() or "nobody"


def _plain(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        return host.rstrip(".").casefold()
