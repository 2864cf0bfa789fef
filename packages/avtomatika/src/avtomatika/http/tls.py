"""The certificates of the server, and what it asks of those who connect."""

import ssl
from pathlib import Path

import msgspec

from avtomatika.errors import ConfigError


class Certificates(msgspec.Struct, frozen=True):
    """The certificate of the node with its key, and the authority of those who connect.

    With *asks* they may show a certificate, with *demands* they must.
    """

    certificate: Path
    key: Path
    authority: Path | None = None
    asks: bool = False
    demands: bool = False

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or later with these. Raises ConfigError when they cannot be read."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            # An encrypted key must not ask the terminal for its password.
            context.load_cert_chain(self.certificate, self.key, password=lambda: "")
            if self.authority is not None:
                context.load_verify_locations(self.authority)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigError(f"TLS_CERT_PATH, TLS_KEY_PATH, TLS_CA_PATH: {error}") from error
        if self.demands:
            context.verify_mode = ssl.CERT_REQUIRED
        elif self.asks:
            context.verify_mode = ssl.CERT_OPTIONAL
        return context
