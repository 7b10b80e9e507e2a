"""Who may ask the admin listener. Rules: headers in, yes or no out.

A page of somebody else's may have its own name resolve to 127.0.0.1 and so speak to us from the browser of whoever
looks at it (DNS rebinding). The Host header then still says that name; who means us says an address or localhost.
"""

import base64
import binascii
import hmac
from typing import Final

from localctl.networks import is_address

USER: Final = "admin"
OPEN: Final = frozenset({"/healthz", "/readyz"})  # asked by machines that have no password


def means_us(host: str) -> bool:
    """Whether a Host header names this machine by an IP address or as localhost; without one it is no browser's."""
    name = host.strip().lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") <= 1:
        name = name.partition(":")[0]
    name = name.rstrip(".")
    return not host or name == "localhost" or is_address(name)


def proves(authorization: str, password: str) -> bool:
    """Whether an Authorization header is HTTP Basic (RFC 7617) with the user ``admin`` and this password."""
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        sent = base64.b64decode(token.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(sent, f"{USER}:{password}".encode())
