"""All settings as one frozen tree, parsed once. Only the composition root reads it."""

import ipaddress
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from avtomatika.errors import ConfigError
from avtomatika.kernel.model import Policy
from avtomatika.kernel.time import Span, seconds

T = TypeVar("T")

WEAK_TOKENS: Final = frozenset(
    {
        "secure-worker-token",
        "secure-orchestrator-token",
        "your-secret-worker-token",
        "changeme",
    }
)
SHORTEST_TOKEN: Final = 16
SHORTEST: Final = 0.001
MOST_SECONDS: Final = 10**9
LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_PATH: Final = re.compile(r"|[A-Za-z0-9.~-][A-Za-z0-9._~-]*(/[A-Za-z0-9._~-]+)*")


class HttpSettings(msgspec.Struct, frozen=True):
    """Where the API listens and what it takes in."""

    host: str = "127.0.0.1"
    port: int = 8080
    prefix: str = "api"
    client_api: bool = True
    detailed: bool = False
    max_body: int = 1_048_576
    insecure: bool = False


class Settings(msgspec.Struct, frozen=True):
    """What a node needs to know. Times are spans of milliseconds."""

    data_dir: Path
    storage_url: str
    instance: str
    http: HttpSettings = HttpSettings()
    client_token: str | None = None
    worker_token: str | None = None
    operator_token: str | None = None
    approval_secret: str | None = None
    webhook_secret: str | None = None
    blueprints_dir: Path | None = None
    policy: Policy = Policy()
    longest_poll: Span = Span(30_000)
    task_lease: Span = Span(30_000)
    run_lease: Span = Span(30_000)
    worker_ttl: Span = Span(120_000)
    keep_finished: Span | None = None
    width: int = 1_000
    drain: Span = Span(25_000)
    log_level: str = "INFO"

    def __repr__(self) -> str:
        storage = redacted(self.storage_url)
        return f"Settings(storage_url={storage!r}, instance={self.instance!r}, http={self.http!r})"


def redacted(url: str) -> str:
    """The URL without the password in it."""
    scheme, separator, rest = url.partition("://")
    _, at, place = rest.rpartition("@")
    return f"{scheme}{separator}***@{place}" if at else url


class Reader:
    """Reads variables and collects every problem, so that all are reported at once."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._problems: list[str] = []

    def text(self, name: str, default: str) -> str:
        """The variable as text."""
        return self._values.get(name, default)

    def optional(self, name: str) -> str | None:
        """The variable as text, or None when it is unset or empty."""
        return self._values.get(name) or None

    def whole(self, name: str, default: int, least: int = 0) -> int:
        """The variable as a whole number."""
        return self._parsed(
            name, default, lambda text: _at_least(int(text), least), f"a whole number from {least}"
        )

    def span(self, name: str, default: float, least: float = 0.0) -> Span:
        """The variable, in seconds, as a span."""
        what = f"seconds, from {least:g} to {MOST_SECONDS}"
        return seconds(self._parsed(name, default, lambda text: _within(float(text), least), what))

    def choice(self, name: str, default: str, choices: Collection[str]) -> str:
        """The variable, in upper case, as one of the choices."""
        return self._parsed(name, default, lambda text: _one_of(text.upper(), choices), ", ".join(choices))

    def path(self, name: str, default: str) -> str:
        """The variable as a path of URLs, without the slashes around it; ours begin with `_`."""
        return self._parsed(name, default, lambda text: _plain_path(text.strip("/")), "a plain path")

    def flag(self, name: str, default: bool) -> bool:
        """The variable as a truth value: `true` in any case, or `1`."""
        return self._parsed(name, default, lambda text: _FLAGS[text.strip().lower()], "true or false")

    def problem(self, name: str, what: str) -> None:
        """One more thing is wrong."""
        self._problems.append(f"{name}: {what}")

    def finish(self) -> None:
        """Nothing is wrong. Raises ConfigError that names every problem."""
        if self._problems:
            raise ConfigError("The configuration is not usable. " + "; ".join(self._problems))

    def _parsed(self, name: str, default: T, parse: Callable[[str], T], what: str) -> T:
        text = self._values.get(name)
        if text is None or text == "":
            return default
        try:
            return parse(text)
        except (ValueError, KeyError, OverflowError):
            self.problem(name, f"must be {what}, not {text!r}")
            return default


_FLAGS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def _at_least(value: T, least: int) -> T:
    if not value >= least:  # type: ignore[operator]  # T is int or float here
        raise ValueError
    return value


def _within(value: float, least: float) -> float:
    if not least <= value <= MOST_SECONDS:
        raise ValueError
    return value


def _one_of(text: str, choices: Collection[str]) -> str:
    if text not in choices:
        raise ValueError
    return text


def _plain_path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise ValueError
    return text


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
    http = HttpSettings(
        host=reader.text("API_HOST", "127.0.0.1"),
        port=reader.whole("API_PORT", 8080),
        prefix=reader.path("CLIENT_API_PREFIX", "api"),
        client_api=reader.flag("ENABLE_CLIENT_API", True),
        detailed=reader.flag("DETAILED_API_RESPONSES", False),
        max_body=reader.whole("MAX_BODY_BYTES", 1_048_576, 1_024),
        insecure=reader.flag("AVTOMATIKA_INSECURE_HTTP", False),
    )
    if http.port > 65_535:
        reader.problem("API_PORT", f"is no port: {http.port}")
    if not is_loopback(http.host) and not http.insecure:
        reader.problem(
            "API_HOST",
            f"{http.host} can be reached from outside and there is no TLS here yet; "
            "set AVTOMATIKA_INSECURE_HTTP=true when a proxy in front of it speaks TLS",
        )
    keep_days = reader.whole("JOB_RETENTION_DAYS", 0)
    settings = Settings(
        data_dir=data_dir,
        storage_url=reader.text("STORAGE_URL", f"sqlite:///{data_dir / 'avtomatika.db'}"),
        instance=reader.text("INSTANCE_ID", "local"),
        http=http,
        client_token=reader.optional("CLIENT_TOKEN"),
        worker_token=reader.optional("GLOBAL_WORKER_TOKEN"),
        operator_token=reader.optional("OPERATOR_TOKEN"),
        approval_secret=reader.optional("APPROVAL_SECRET"),
        webhook_secret=reader.optional("WEBHOOK_SECRET"),
        blueprints_dir=_folder(reader, "BLUEPRINTS_DIR"),
        policy=_policy(reader),
        longest_poll=reader.span("WORKER_POLL_TIMEOUT_SECONDS", 30),
        task_lease=reader.span("TASK_LEASE_SECONDS", 30, SHORTEST),
        run_lease=reader.span("RUN_LEASE_SECONDS", 30, SHORTEST),
        worker_ttl=Span(2 * reader.span("WORKER_HEALTH_CHECK_INTERVAL_SECONDS", 60, SHORTEST)),
        keep_finished=Span(keep_days * 86_400_000) if keep_days else None,
        width=reader.whole("EXECUTOR_MAX_CONCURRENT_JOBS", 1_000, 1),
        drain=reader.span("DRAIN_TIMEOUT_SECONDS", 25),
        log_level=reader.choice("LOG_LEVEL", "INFO", LOG_LEVELS),
    )
    tokens = {
        "CLIENT_TOKEN": settings.client_token,
        "GLOBAL_WORKER_TOKEN": settings.worker_token,
        "OPERATOR_TOKEN": settings.operator_token,
        "APPROVAL_SECRET": settings.approval_secret,
        "WEBHOOK_SECRET": settings.webhook_secret,
    }
    check_tokens(reader, tokens)
    reader.finish()
    return settings


def _folder(reader: Reader, name: str) -> Path | None:
    given = reader.optional(name)
    if given is None:
        return None
    if not Path(given).is_dir():
        reader.problem(name, f"there is no folder {given}")
    return Path(given)


def _policy(reader: Reader) -> Policy:
    retries = reader.whole("JOB_MAX_RETRIES", 3)
    return Policy(
        handler_retries=retries,
        task_retries=retries,
        max_deliveries=reader.whole("MAX_DELIVERIES", 5, 1),
        max_steps=reader.whole("MAX_TRANSITIONS_PER_JOB", 100, 1),
        execution_timeout=reader.span("WORKER_TIMEOUT_SECONDS", 300, SHORTEST),
        backoff_first=reader.span("RETRY_BACKOFF_SECONDS", 1),
        backoff_most=reader.span("RETRY_BACKOFF_MAX_SECONDS", 300),
    )
