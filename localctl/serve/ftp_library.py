"""pyftpdlib, loaded without what only others need of it.

It loads pyOpenSSL wherever that is installed, which costs a small gateway 9 MiB and as long as all else of FTP, and
what logs in Unix users and starts processes. Here it is told that there is none of it; ``ftps`` loads pyOpenSSL where a
certificate is configured. Its ioloop comes first: it alone imports asyncore without the deprecation.
"""

import sys
from typing import Final

_UNWANTED: Final = ("OpenSSL", "crypt", "multiprocessing")
_hidden: Final = [name for name in _UNWANTED if name not in sys.modules]
sys.modules.update(dict.fromkeys(_hidden))  # type: ignore[arg-type]  # how import is told that there is none
try:
    import pyftpdlib.ioloop  # noqa: F401  it must be the first
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import DTPHandler, FTPHandler
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer
finally:
    for _name in _hidden:
        del sys.modules[_name]

__all__ = ["DTPHandler", "DummyAuthorizer", "FTPHandler", "FTPServer", "IOLoop"]
