"""Certificates for one server and one worker, from an authority of their own."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey


def write_certificates(folder: Path, worker: str) -> None:
    """There are ``ca.pem``, and ``server`` and ``worker`` with their ``.pem`` and ``.key``."""
    authority = ec.generate_private_key(ec.SECP256R1())
    (folder / "ca.pem").write_bytes(_certificate("authority", authority, "authority", authority))
    for file, name in (("server", "127.0.0.1"), ("worker", worker)):
        key = ec.generate_private_key(ec.SECP256R1())
        (folder / f"{file}.pem").write_bytes(_certificate(name, key, "authority", authority))
        plain, form = serialization.NoEncryption(), serialization.PrivateFormat.PKCS8
        (folder / f"{file}.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))


def server_context(folder: Path) -> ssl.SSLContext:
    """Asks for the certificate of a worker, as ``mixed`` does, and takes those that have none."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.pem"))
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _certificate(name: str, key: Key, issuer: str, issuer_key: Key) -> bytes:
    now = datetime.now(UTC)
    of_authority = key is issuer_key
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=of_authority, path_length=None), critical=True)
    )
    if name[0].isdigit():
        address = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(name))])
        builder = builder.add_extension(address, critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
