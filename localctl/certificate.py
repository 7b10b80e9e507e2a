"""From when to when certificates are valid. Rules: the bytes of a PEM file in, Unix times out.

The standard library tells this only of a peer's certificate that it has just accepted, so the few fields on the way to
it are read here (X.509 in DER: RFC 5280, 4.1; times: 4.1.2.5).
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_PEM: Final = re.compile(rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----(.*?)-----END", re.DOTALL)
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
_VALIDITY: Final = 3  # behind the version: serial number, signature algorithm, issuer, validity


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


def _validity(der: bytes) -> Validity:
    try:
        certificate = next(_elements(der))
        signed = next(_elements(certificate.content))
        fields = [element for element in _elements(signed.content) if element.tag != _VERSION]
        begins, ends = _elements(fields[_VALIDITY].content)
    except (StopIteration, IndexError) as fault:
        raise ValueError("is not a certificate") from fault
    return Validity(_moment(begins), _moment(ends))


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
