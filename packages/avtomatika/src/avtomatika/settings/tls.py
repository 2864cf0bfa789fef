"""The settings of TLS, and how workers prove who they are."""

from pathlib import Path

import msgspec

from avtomatika.commands.admission import Proof
from avtomatika.http.tls import Certificates
from avtomatika.settings.reader import Reader


class TlsSettings(msgspec.Struct, frozen=True):
    """The certificates of the node, None without TLS, and what a worker has to show."""

    certificates: Certificates | None = None
    proof: Proof = Proof.MIXED


def read_tls(reader: Reader) -> TlsSettings:
    """The `TLS_…` variables and `WORKER_AUTH_MODE`."""
    proof = Proof(reader.choice("WORKER_AUTH_MODE", Proof.MIXED, [each.value for each in Proof]))
    demands = reader.flag("TLS_REQUIRE_CLIENT_CERT", False)
    if not reader.flag("TLS_ENABLED", False):
        if proof is Proof.CERTIFICATE:
            reader.problem("WORKER_AUTH_MODE", "mtls-only needs TLS_ENABLED=true")
        return TlsSettings(proof=proof)
    certificate, key = _file(reader, "TLS_CERT_PATH"), _file(reader, "TLS_KEY_PATH")
    authority = _file(reader, "TLS_CA_PATH", needed=demands or proof is Proof.CERTIFICATE)
    if certificate is None or key is None:
        return TlsSettings(proof=proof)
    asks = authority is not None and proof is not Proof.TOKEN
    return TlsSettings(Certificates(certificate, key, authority, asks, demands), proof)


def _file(reader: Reader, name: str, *, needed: bool = True) -> Path | None:
    given = reader.optional(name)
    if given is None:
        if needed:
            reader.problem(name, "is needed for what the other TLS and WORKER_AUTH_MODE settings say")
        return None
    if not Path(given).is_file():
        reader.problem(name, f"there is no file {given}")
        return None
    return Path(given)
