"""From when to when certificates are valid, of what kind and for whom they are. Rules: the bytes of a PEM file in.

The standard library tells this only of a peer's certificate that it has just accepted, and the kind never, so the few
fields on the way to it are read here (X.509 in DER: RFC 5280, 4.1; times: 4.1.2.5).
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final

_PEM: Final = re.compile(rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----(.*?)-----END", re.DOTALL)
_VERSION: Final = 0xA0
_EXTENSIONS: Final = 0xA3
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
_VALIDITY: Final = 3  # behind the version: serial number, signature algorithm, issuer, validity, subject, public key
_SUBJECT: Final = 4
_PUBLIC_KEY: Final = 5
_COMMON_NAME: Final = bytes.fromhex("550403")  # 2.5.4.3 (RFC 5280, appendix A.1)
_ALTERNATIVE_NAMES: Final = bytes.fromhex("551d11")  # 2.5.29.17 (RFC 5280, 4.2.1.6)
_DNS_NAME: Final = 0x82
_IP_ADDRESS: Final = 0x87
_RSA: Final = bytes.fromhex("2a864886f70d010101")  # rsaEncryption, 1.2.840.113549.1.1.1 (RFC 3279, 2.3.1)


@dataclass(frozen=True, slots=True)
class Validity:
    """Both ends of a certificate's time, in Unix seconds."""

    begins: float
    ends: float


@dataclass(frozen=True, slots=True)
class _Element:
    tag: int
    content: bytes


def validities(pem: bytes) -> tuple[Validity, ...]:
    """The validity of each certificate in a PEM file, in the file's order.

    Raises ValueError where one of them is damaged.
    """
    return tuple(_validity(base64.b64decode(block, validate=False)) for block in _PEM.findall(pem))


def is_rsa(pem: bytes) -> bool:
    """Whether the first certificate of a PEM file is for an RSA key; raises ValueError where it is damaged."""
    for block in _PEM.findall(pem):
        try:
            algorithm = next(_elements(_fields(base64.b64decode(block, validate=False))[_PUBLIC_KEY].content))
            return next(_elements(algorithm.content)).content == _RSA
        except (StopIteration, IndexError) as fault:
            raise ValueError("is not a certificate") from fault
    return False


def name_of(pem: bytes) -> str:
    """For whom the first certificate of a PEM file is: its commonName, else the first DNS name or IP address of it;
    empty where there is none. Raises ValueError where it is damaged.
    """
    for block in _PEM.findall(pem):
        try:
            fields = _fields(base64.b64decode(block, validate=False))
            return next(_names(fields), "")
        except (StopIteration, IndexError) as fault:
            raise ValueError("is not a certificate") from fault
    return ""


def _names(fields: list[_Element]) -> Iterator[str]:
    for relative in _elements(fields[_SUBJECT].content):
        for attribute in _elements(relative.content):
            kind, value = _elements(attribute.content)
            if kind.content == _COMMON_NAME:
                yield value.content.decode("utf-8", "replace")
    for extension in (each for field in fields if field.tag == _EXTENSIONS for each in _list(field)):
        oid, *_, value = _elements(extension.content)
        if oid.content == _ALTERNATIVE_NAMES:
            for name in _list(value):
                if name.tag == _DNS_NAME:
                    yield name.content.decode("ascii", "replace")
                elif name.tag == _IP_ADDRESS:
                    yield str(ip_address(name.content))


def _list(wrapped: _Element) -> Iterator[_Element]:
    """What is in the sequence that is all that ``wrapped`` holds."""
    return _elements(next(_elements(wrapped.content)).content)


def _validity(der: bytes) -> Validity:
    try:
        begins, ends = _elements(_fields(der)[_VALIDITY].content)
    except (StopIteration, IndexError) as fault:
        raise ValueError("is not a certificate") from fault
    return Validity(_moment(begins), _moment(ends))


def _fields(der: bytes) -> list[_Element]:
    """What is signed, behind the version; StopIteration or IndexError where that is no certificate."""
    certificate = next(_elements(der))
    signed = next(_elements(certificate.content))
    return [element for element in _elements(signed.content) if element.tag != _VERSION]


def _elements(data: bytes) -> Iterator[_Element]:
    """The elements that stand one behind the other in ``data``; IndexError where it ends within one."""
    at = 0
    while at < len(data):
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            octets = length & 0x7F
            length = int.from_bytes(data[at : at + octets], "big")
            at += octets
        if at + length > len(data):
            raise IndexError
        yield _Element(tag, data[at : at + length])
        at += length


def _moment(element: _Element) -> float:
    text = element.content.decode("ascii")
    if element.tag == _UTC_TIME:  # two digits: 1950 to 2049
        text = ("19" if text >= "50" else "20") + text
    elif element.tag != _GENERALIZED_TIME:
        raise ValueError("is not a certificate")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
