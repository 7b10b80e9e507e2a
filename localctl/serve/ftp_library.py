"""pyftpdlib, loaded without what it needs for TLS alone.

It loads pyOpenSSL wherever that is installed, which costs a small gateway 9 MiB and as long as all else of FTP; here it
is told that there is none, and ``ftps`` loads both where a certificate is configured. Its ioloop comes first: it alone
imports asyncore without the deprecation.
"""

import sys
from typing import Final

_TLS: Final = "OpenSSL"
_hidden: Final = _TLS not in sys.modules
if _hidden:
    sys.modules[_TLS] = None  # type: ignore[assignment]  # how import is told that there is none
try:
    import pyftpdlib.ioloop  # noqa: F401  it must be the first
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import DTPHandler, FTPHandler
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer
finally:
    if _hidden:
        del sys.modules[_TLS]

__all__ = ["DTPHandler", "DummyAuthorizer", "FTPHandler", "FTPServer", "IOLoop"]
