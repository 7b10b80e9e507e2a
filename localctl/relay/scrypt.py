"""Passwords that cannot be read back: a PHC string of scrypt (RFC 7914) to what it proves. Rules: no I/O, no chance.

``$scrypt$ln=12,r=8,p=1$SALT$HASH``, both in base64 without padding, as passlib and others write it.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final

SALT_BYTES: Final = 16
# OCPP's passwords are random and of 16 to 40 characters (A00.FR.205): nobody guesses these, whatever a guess costs. The
# cost is for those that people think up, and must leave a small gateway able to let in 1000 stations that come back
# after a power cut: 4 MiB and, on an x86 core, 0.02 s for each, where 2**14 takes 16 MiB and 0.09 s.
_LN: Final = 12
_R: Final = 8
_P: Final = 1
_MOST_BYTES: Final = 64 * 2**20  # that one line of a file may make us take
_MOST_P: Final = 16
_PHC: Final = re.compile(
    r"\$scrypt\$ln=([0-9]{1,2}),r=([0-9]{1,3}),p=([0-9]{1,2})\$([A-Za-z0-9+/]{8,86})\$([A-Za-z0-9+/]{22,86})"
)


@dataclass(frozen=True, slots=True)
class Hash:
    """One password's; ``str`` is the PHC string."""

    ln: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    @property
    def cost(self) -> int:
        """What a look costs, to be compared with others'."""
        return self.r * self.p << self.ln

    def proves(self, password: bytes) -> bool:
        """Whether it is this password's. Takes memory and CPU on purpose: not on a loop."""
        return hmac.compare_digest(self.digest, _derived(password, self, len(self.digest)))

    def __str__(self) -> str:
        return f"$scrypt$ln={self.ln},r={self.r},p={self.p}${_text(self.salt)}${_text(self.digest)}"


def hashed(password: bytes, salt: bytes) -> Hash:
    """A new one; ``salt`` is SALT_BYTES of chance."""
    blank = Hash(_LN, _R, _P, salt, b"")
    return Hash(_LN, _R, _P, salt, _derived(password, blank, 32))


def decoy(like: Hash | None) -> Hash:
    """One that proves nothing and costs what ``like`` does, so that who is unknown waits as long as who is known."""
    ln, r, p = (like.ln, like.r, like.p) if like else (_LN, _R, _P)
    return Hash(ln, r, p, bytes(SALT_BYTES), bytes(32))


def parse(phc: str) -> Hash:
    """A PHC string; raises ValueError where it is none, or asks for more memory than a gateway has."""
    match = _PHC.fullmatch(phc)
    if match is None or any(len(text) % 4 == 1 for text in match.groups()[3:]):  # so long is no base64
        raise ValueError("is no PHC string of scrypt")
    ln, r, p = (int(number) for number in match.groups()[:3])
    if not (0 < ln < 32 and r > 0 and 0 < p <= _MOST_P and 128 * r << ln <= _MOST_BYTES):
        raise ValueError("asks for what scrypt cannot do here")
    return Hash(ln, r, p, _bytes(match[4]), _bytes(match[5]))


def _derived(password: bytes, like: Hash, length: int) -> bytes:
    memory = 128 * like.r * ((1 << like.ln) + like.p + 2)
    return hashlib.scrypt(
        password, salt=like.salt, n=1 << like.ln, r=like.r, p=like.p, maxmem=memory + 2**20, dklen=length
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))
