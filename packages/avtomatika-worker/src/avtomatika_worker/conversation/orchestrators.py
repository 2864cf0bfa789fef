"""The orchestrators that a worker serves, and how it reaches them."""

import random
import ssl
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from avtomatika_worker.config import WorkerConfig
from avtomatika_worker.errors import ConfigError
from rxon.errors import ProtocolError
from rxon.http.client import HttpTransport
from rxon.http.command_socket import ListeningTransport
from rxon.http.keys import Keys
from rxon.identifiers import validate_identifier
from rxon.stream.channel import STREAM
from rxon.stream.client import SocketOpener
from rxon.stream.switching import SwitchingTransport
from rxon.transport import WorkerTransport

__all__ = ["Orchestrator", "configured_orchestrators", "transport_to"]


class Orchestrator(msgspec.Struct, frozen=True):
    """Where an orchestrator is. A lower ``priority`` comes first."""

    url: str
    priority: int = 10
    weight: int = 1
    token: str | None = None

    def __repr__(self) -> str:
        return f"Orchestrator({self.url!r}, priority={self.priority}, weight={self.weight})"


def configured_orchestrators(config: WorkerConfig) -> tuple[Orchestrator, ...]:
    """Every orchestrator of ``config`` with its token, by priority and address.

    Raises ConfigError when one cannot be used, is there twice, or gets neither a token nor a certificate.
    """
    try:
        validate_identifier(config.WORKER_ID, "WORKER_ID")
    except ProtocolError as error:
        raise ConfigError(error.message) from None
    found = [_orchestrator(entry, config) for entry in config.ORCHESTRATORS]
    if not found:
        raise ConfigError("ORCHESTRATORS_CONFIG names no orchestrator")
    urls = [orchestrator.url for orchestrator in found]
    for url in urls:
        if urls.count(url) > 1:
            raise ConfigError(f"ORCHESTRATORS_CONFIG names {url} more than once")
    return tuple(sorted(found, key=lambda orchestrator: (orchestrator.priority, orchestrator.url)))


def transport_to(
    orchestrator: Orchestrator, config: WorkerConfig, session: aiohttp.ClientSession | None
) -> WorkerTransport:
    """The way to ``orchestrator`` that WORKER_TRANSPORT names, with the certificates of ``config``.

    HTTP goes through ``session`` if that is given, streams have a session of their own. Raises
    ConfigError when the certificates cannot be read, or the setting is none of its words.
    """
    token, context = orchestrator.token or "", _ssl_context(config)
    way = config.WORKER_TRANSPORT
    if way not in ("auto", "stream", "poll"):
        raise ConfigError(f"WORKER_TRANSPORT must be auto, stream or poll, not {way!r}")
    keys = Keys(token, config.WORKER_TOKEN, exchange=config.TLS_CERT_PATH is not None)
    http = HttpTransport(orchestrator.url, config.WORKER_ID, keys, session, ssl=context)
    if config.WORKER_ENABLE_WEBSOCKETS:  # of earlier generations; a stream does the same
        instead = (STREAM,) if config.may_use_websockets else ()
        http = ListeningTransport(
            orchestrator.url,
            config.WORKER_ID,
            keys,
            session,
            chance=random.random,
            instead=instead,
            ssl=context,
        )
    if not config.may_use_websockets:
        return http
    opener = SocketOpener(orchestrator.url, config.WORKER_ID, token, ssl=context)
    return SwitchingTransport(http, opener, random.random, insist=way == "stream")


def _orchestrator(entry: dict[str, Any], config: WorkerConfig) -> Orchestrator:
    try:
        orchestrator = msgspec.convert(entry, Orchestrator)
    except msgspec.ValidationError as error:
        raise ConfigError(f"ORCHESTRATORS_CONFIG: {error}") from None
    url = orchestrator.url.rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname:
        raise ConfigError(f"{url!r} is no address of an orchestrator, such as http://localhost:8080")
    token = orchestrator.token or config.WORKER_INDIVIDUAL_TOKEN or config.WORKER_TOKEN
    if not token and not config.TLS_CERT_PATH:
        raise ConfigError(
            f"There is no token for {url}: set WORKER_TOKEN or WORKER_INDIVIDUAL_TOKEN, give the"
            " orchestrator a token in ORCHESTRATORS_CONFIG, or show a certificate with TLS_CERT_PATH"
        )
    return msgspec.structs.replace(orchestrator, url=url, token=token)


def _ssl_context(config: WorkerConfig) -> ssl.SSLContext | None:
    if not (config.TLS_CA_PATH or config.TLS_CERT_PATH):
        return None
    try:
        context = ssl.create_default_context(cafile=config.TLS_CA_PATH)
        if config.TLS_CERT_PATH:
            context.load_cert_chain(config.TLS_CERT_PATH, config.TLS_KEY_PATH)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"TLS_CA_PATH, TLS_CERT_PATH, TLS_KEY_PATH: {error}") from None
    return context
