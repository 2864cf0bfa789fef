"""Whose the certificate is that came with a connection."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from rxon.identifiers import is_valid_identifier

__all__ = ["certified_names", "names_in"]

WORKERS: Final = "/worker/"
"""Before the id of a worker in the path of a name of the form ``spiffe://DOMAIN/worker/ID``."""


def certified_names(request: web.Request) -> tuple[str, ...]:
    """The workers whose certificate the connection was opened with; none without one.

    The server has verified the certificate, or there would be no connection.
    """
    certificate: Mapping[str, Any] | None = request.get_extra_info("peercert")
    return names_in(certificate) if certificate else ()


def names_in(certificate: Mapping[str, Any]) -> tuple[str, ...]:
    """The worker ids in a certificate, in the form of ``SSLSocket.getpeercert``.

    They are its alternative names of DNS and SPIFFE; where none of these is a worker id, its common name.
    """
    alternative = tuple(dict.fromkeys(_alternative(certificate)))
    if alternative:
        return alternative
    subject: Iterable[Iterable[tuple[str, str]]] = certificate.get("subject", ())
    pairs = (pair for part in subject for pair in part)
    return tuple(value for name, value in pairs if name == "commonName" and is_valid_identifier(value))[:1]


def _alternative(certificate: Mapping[str, Any]) -> Iterator[str]:
    names: Iterable[tuple[str, str]] = certificate.get("subjectAltName", ())
    for kind, value in names:
        if kind == "DNS" and is_valid_identifier(value):
            yield value
        elif kind == "URI":
            parts = urlsplit(value)
            name = parts.path.removeprefix(WORKERS)
            if parts.scheme == "spiffe" and name != parts.path and is_valid_identifier(name):
                yield name
