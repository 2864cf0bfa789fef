"""All settings as one frozen tree, parsed once. Only the composition root reads it."""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from avtomatika.commands.headroom import Room
from avtomatika.kernel.model import Policy
from avtomatika.kernel.time import Span
from avtomatika.settings.dispatch import DispatchSettings, read_dispatch
from avtomatika.settings.files import FileSettings, read_files
from avtomatika.settings.history import history_uri
from avtomatika.settings.reader import SHORTEST, Reader
from avtomatika.settings.schedules import ScheduleSettings, read_schedules
from avtomatika.settings.storage import StorageSettings, instance_of, read_storage
from avtomatika.settings.tls import TlsSettings, read_tls
from avtomatika.settings.webhooks import WebhookSettings, read_webhooks, webhook_secret
from avtomatika.settings.workers import WorkerSettings, read_workers

WEAK_TOKENS: Final = frozenset(
    {
        "secure-worker-token",
        "secure-orchestrator-token",
        "your-secret-worker-token",
        "changeme",
    }
)
SHORTEST_TOKEN: Final = 16
LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class HttpSettings(msgspec.Struct, frozen=True):
    """Where the API listens and what it takes in."""

    host: str = "127.0.0.1"
    port: int = 8080
    prefix: str = "api"
    public_url: str | None = None
    client_api: bool = True
    detailed: bool = False
    max_body: int = 1_048_576
    insecure: bool = False
    tls: TlsSettings = TlsSettings()


class Settings(msgspec.Struct, frozen=True):
    """What a node needs to know. Times are spans of milliseconds."""

    data_dir: Path
    storage: StorageSettings
    instance: str
    http: HttpSettings = HttpSettings()
    client_token: str | None = None
    worker_token: str | None = None
    operator_token: str | None = None
    approval_secret: str | None = None
    webhook_secret: str | None = None
    webhooks: WebhookSettings = WebhookSettings()
    history_uri: str | None = None
    workers: WorkerSettings = WorkerSettings()
    blueprints_dir: Path | None = None
    schedules: ScheduleSettings = ScheduleSettings()
    policy: Policy = Policy()
    dispatch: DispatchSettings = DispatchSettings()
    files: FileSettings = FileSettings()
    longest_poll: Span = Span(30_000)
    task_lease: Span = Span(30_000)
    run_lease: Span = Span(30_000)
    worker_ttl: Span = Span(120_000)
    keep_finished: Span | None = None
    room: Room = Room()
    width: int = 1_000
    drain: Span = Span(25_000)
    drain_notice: Span = Span(0)
    log_level: str = "INFO"

    def __repr__(self) -> str:
        storage = redacted(self.storage.url)
        return f"Settings(storage_url={storage!r}, instance={self.instance!r}, http={self.http!r})"


def redacted(url: str) -> str:
    """The URL without the password in it."""
    scheme, separator, rest = url.partition("://")
    _, at, place = rest.rpartition("@")
    return f"{scheme}{separator}***@{place}" if at else url


def check_tokens(reader: Reader, tokens: Mapping[str, str | None]) -> None:
    """A problem is noted for every token that others could know or guess."""
    for name, token in tokens.items():
        if token is not None and (token in WEAK_TOKENS or len(token) < SHORTEST_TOKEN):
            reader.problem(name, f"is well known or shorter than {SHORTEST_TOKEN} characters")


def is_loopback(host: str) -> bool:
    """True when only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read(values: Mapping[str, str]) -> Settings:
    """The settings that the variables make. Raises ConfigError that names every problem."""
    reader = Reader(values)
    data_dir = Path(reader.text("AVTOMATIKA_DATA_DIR", ".avtomatika"))
    http = _http(reader)
    storage = read_storage(reader, data_dir)
    keep_days = reader.whole("JOB_RETENTION_DAYS", 0)
    files = read_files(reader, data_dir, storage.url)
    settings = Settings(
        data_dir=data_dir,
        storage=storage,
        instance=instance_of(reader, storage),
        http=http,
        client_token=reader.optional("CLIENT_TOKEN"),
        worker_token=reader.optional("GLOBAL_WORKER_TOKEN"),
        operator_token=reader.optional("OPERATOR_TOKEN"),
        approval_secret=reader.optional("APPROVAL_SECRET"),
        webhook_secret=webhook_secret(reader),
        webhooks=read_webhooks(reader),
        workers=read_workers(reader),
        history_uri=history_uri(reader, storage.url),
        blueprints_dir=_folder(reader, "BLUEPRINTS_DIR"),
        schedules=read_schedules(reader),
        policy=_policy(reader, files.keep_of_jobs),
        dispatch=read_dispatch(reader),
        files=files,
        longest_poll=reader.span("WORKER_POLL_TIMEOUT_SECONDS", 30),
        task_lease=reader.span("TASK_LEASE_SECONDS", 30, SHORTEST),
        run_lease=reader.span("RUN_LEASE_SECONDS", 30, SHORTEST),
        worker_ttl=Span(2 * reader.span("WORKER_HEALTH_CHECK_INTERVAL_SECONDS", 60, SHORTEST)),
        keep_finished=Span(keep_days * 86_400_000) if keep_days else None,
        room=Room(
            reader.whole("MAX_UNFINISHED_JOBS_PER_CLIENT", 100_000, 1),
            reader.whole("MAX_UNFINISHED_JOBS", 2_000_000, 1),
        ),
        width=reader.whole("EXECUTOR_MAX_CONCURRENT_JOBS", 1_000, 1),
        drain=reader.span("DRAIN_TIMEOUT_SECONDS", 25),
        drain_notice=reader.span("DRAIN_NOTICE_SECONDS", 0),
        log_level=reader.choice("LOG_LEVEL", "INFO", LOG_LEVELS),
    )
    tokens = {
        "CLIENT_TOKEN": settings.client_token,
        "GLOBAL_WORKER_TOKEN": settings.worker_token,
        "OPERATOR_TOKEN": settings.operator_token,
        "APPROVAL_SECRET": settings.approval_secret,
        "ORCHESTRATOR_SECRET_KEY": settings.workers.task_key,
    }
    check_tokens(reader, tokens)
    reader.finish()
    return settings


def _http(reader: Reader) -> HttpSettings:
    http = HttpSettings(
        host=reader.text("API_HOST", "127.0.0.1"),
        port=reader.whole("API_PORT", 8080),
        prefix=reader.path("CLIENT_API_PREFIX", "api"),
        public_url=_public_url(reader),
        client_api=reader.flag("ENABLE_CLIENT_API", True),
        detailed=reader.flag("DETAILED_API_RESPONSES", False),
        max_body=reader.whole("MAX_BODY_BYTES", 1_048_576, 1_024),
        insecure=reader.flag("AVTOMATIKA_INSECURE_HTTP", False),
        tls=read_tls(reader),
    )
    if http.port > 65_535:
        reader.problem("API_PORT", f"is no port: {http.port}")
    if not (is_loopback(http.host) or http.insecure or http.tls.certificates):
        reader.problem(
            "API_HOST",
            f"{http.host} can be reached from outside without TLS; set TLS_ENABLED=true with TLS_CERT_PATH "
            "and TLS_KEY_PATH, or AVTOMATIKA_INSECURE_HTTP=true when a proxy in front of it speaks TLS",
        )
    return http


def _public_url(reader: Reader) -> str | None:
    """Where others reach the node, without a slash at its end."""
    given = reader.optional("PUBLIC_URL")
    if given is None:
        return None
    if not _is_plain_url(given):
        reader.problem("PUBLIC_URL", "must be http:// or https://, a host, and at most a port and a path")
    return given.rstrip("/")


def _is_plain_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        plain = parts.port != 0 and "@" not in parts.netloc and not (parts.query or parts.fragment)
    except ValueError:
        return False
    return plain and parts.scheme in ("http", "https") and bool(parts.hostname)


def _folder(reader: Reader, name: str) -> Path | None:
    given = reader.optional(name)
    if given is None:
        return None
    if not Path(given).is_dir():
        reader.problem(name, f"there is no folder {given}")
    return Path(given)


def _policy(reader: Reader, keep_files: Span | None) -> Policy:
    retries = reader.whole("JOB_MAX_RETRIES", 3)
    return Policy(
        handler_retries=retries,
        task_retries=retries,
        max_deliveries=reader.whole("MAX_DELIVERIES", 5, 1),
        max_steps=reader.whole("MAX_TRANSITIONS_PER_JOB", 100, 1),
        execution_timeout=reader.span("WORKER_TIMEOUT_SECONDS", 300, SHORTEST),
        backoff_first=reader.span("RETRY_BACKOFF_SECONDS", 1),
        backoff_most=reader.span("RETRY_BACKOFF_MAX_SECONDS", 300),
        keep_files=keep_files,
    )
