"""Who issues the certificates of a test: the controller's, the CSMS's and the stations'."""

import ssl
from datetime import datetime
from pathlib import Path
from typing import Final

import trustme

EC: Final = trustme.KeyType.ECDSA
RSA: Final = trustme.KeyType.RSA


class Authority:
    """Its own certificate is ``file``, in ``folder``, where ``issue`` puts those that localctl shows."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._ca = trustme.CA(key_type=EC)
        self.file = str(folder / f"{name}.pem")
        self._ca.cert_pem.write_to_path(self.file)

    def issue(
        self,
        name: str,
        common_name: str | None = None,
        *,
        kind: trustme.KeyType = EC,
        ends: datetime | None = None,
        prefix: str = "",
    ) -> dict[str, str]:
        """A certificate of 127.0.0.1 and its key, over those of that name; the keys of a section that name them."""
        leaf = self._ca.issue_cert("127.0.0.1", common_name=common_name, key_type=kind, not_after=ends)
        files = {key: str(self._folder / f"{name}.{end}") for key, end in (("cert_file", "pem"), ("key_file", "key"))}
        leaf.cert_chain_pems[0].write_to_path(files["cert_file"])
        leaf.private_key_pem.write_to_path(files["key_file"])
        return {prefix + key: path for key, path in files.items()}

    def client(self, common_name: str = "", *, shown_by: "Authority | None" = None) -> ssl.SSLContext:
        """What a client of a server with a certificate of ours has. With ``common_name`` it shows one of that name, by
        another authority where ``shown_by`` says so.
        """
        context = ssl.create_default_context()
        self._ca.configure_trust(context)
        if common_name:
            issuer = (shown_by or self)._ca
            issuer.issue_cert("127.0.0.1", common_name=common_name, key_type=EC).configure_cert(context)
        return context

    def server(
        self,
        *,
        demanding: bool = False,
        host: str = "127.0.0.1",
        begins: datetime | None = None,
        ends: datetime | None = None,
    ) -> ssl.SSLContext:
        """What a CSMS has whose certificate is for ``host`` and that time; a ``demanding`` one wants one of ours of its
        clients.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._ca.issue_cert(host, key_type=EC, not_before=begins, not_after=ends).configure_cert(context)
        if demanding:
            self._ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context
