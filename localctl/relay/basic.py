"""The password in a station's handshake: HTTP Basic (RFC 7617) as OCPP has it. Rules: no I/O.

The user name is the identity (A00.FR.204, FR.303), in either case, as OCPP's identifiers ignore it. The password is
bytes: UTF-8 in OCPP 2.x (A00.FR.205), any of 0 to 255 in 1.6, where its configuration key is written in hex.
"""

import base64
import binascii


def password_of(authorization: str | None, identity: str) -> bytes:
    """The password that comes with ``identity``; raises ValueError with a half sentence where there is none."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    if scheme.lower() != "basic":
        raise ValueError("it sent no password (Authorization: Basic)")
    token = token.strip().rstrip("=")  # some leave the padding out
    try:
        sent = base64.b64decode(token + "=" * (-len(token) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("its Authorization header is not in base64") from None
    for encoding in ("utf-8", "latin-1"):
        length = len(identity.encode(encoding, "replace"))  # an identity may hold colons, so they do not tell
        user, colon, password = sent[:length], sent[length : length + 1], sent[length + 1 :]
        if colon == b":" and user.decode(encoding, "replace").casefold() == identity.casefold():
            return password
    raise ValueError("its user name is not its identity")
