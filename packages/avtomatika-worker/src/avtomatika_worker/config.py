"""The settings of a worker, under the names of their environment variables."""

import logging
import os
import sys
from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

import msgspec

from avtomatika_worker.environment import Variable, choice, flag, json, number, optional, text, whole
from avtomatika_worker.errors import ConfigError
from rxon.messages import HardwareDevice, InstalledArtifact

__all__ = ["WorkerConfig"]

_SECRETS: Final = frozenset(
    {
        "ORCHESTRATOR_SECRET_KEY",
        "S3_ACCESS_KEY",
        "S3_SECRET_KEY",
        "SECRET_KEY",
        "WORKER_INDIVIDUAL_TOKEN",
        "WORKER_TOKEN",
    }
)
_EXTRA: Final = "WORKER_EXTRA_"
_log = logging.getLogger(__name__)


def _python() -> dict[str, str]:
    return {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}


def _state_folder() -> str:
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(state, "avtomatika-worker")


class WorkerConfig:
    """Settings: read from the environment when it is made, assignable until the worker starts.

    Durations are in seconds. There is no built-in token. Raises ConfigError that names every
    variable whose text cannot be read; only ORCHESTRATORS_CONFIG falls back to ORCHESTRATOR_URL.
    """

    WORKER_ID = Variable(lambda: f"worker-{uuid4()}", str)
    WORKER_TYPE = text("generic-cpu-worker")
    WORKER_TOKEN = optional()
    WORKER_INDIVIDUAL_TOKEN = optional()
    WORKER_HOST = text("127.0.0.1")
    WORKER_PORT = whole(8083)
    WORKER_SKILLS_DIR = text("skills")
    WORKER_SHUTDOWN_TIMEOUT = number(30.0)
    WORKER_SPOOL = flag(True)
    WORKER_SPOOL_DIR = Variable(_state_folder, str)
    WORKER_ENABLE_WEBSOCKETS = flag(False)
    WORKER_TRANSPORT = choice("auto", ("auto", "stream", "poll"))
    WORKER_ENABLE_METRICS = flag(False)
    WORKER_ENABLE_TRACING = flag(False)
    WORKER_HEARTBEAT_DEBOUNCE_DELAY = number(0.1)
    WORKER_HEARTBEAT_COOLDOWN = number(2.0)
    WORKER_TELEMETRY_DEADBAND = number(5.0)
    WORKER_TELEMETRY_FORCE_INTERVAL = number(60.0)
    OTEL_EXPORTER_OTLP_ENDPOINT = optional()
    STRICT_EVENT_VALIDATION = flag(True)
    LOG_LEVEL = text("INFO", str.upper)
    LOG_FORMAT = text("text", str.lower)

    ORCHESTRATOR_URL = text("http://localhost:8080")
    MULTI_ORCHESTRATOR_MODE = text("FAILOVER", str.upper)
    TLS_CA_PATH = optional()
    TLS_CERT_PATH = optional()
    TLS_KEY_PATH = optional()
    REQUIRE_TASK_SIGNATURE = flag(True)
    ORCHESTRATOR_SECRET_KEY = optional()
    SECRET_KEY = optional()

    MAX_CONCURRENT_TASKS = whole(10, at_least=1)
    COST_PER_SKILL = json(dict[str, float], dict)
    CPU_CORES = whole(4)
    RAM_GB = number(0.0)
    GPU_MODEL = optional()
    GPU_VRAM_GB = number(0)
    GPU_ID = text("0")
    WORKER_DEVICES = json(list[HardwareDevice], list)
    INSTALLED_SOFTWARE = json(dict[str, str], _python)
    INSTALLED_MODELS = json(list[dict[str, str]], list)
    INSTALLED_ARTIFACTS = json(list[InstalledArtifact], list)

    HEARTBEAT_INTERVAL = number(15)
    RESULT_MAX_RETRIES = whole(5)
    RESULT_RETRY_INITIAL_DELAY = number(1.0)
    REGISTRATION_RETRY_INITIAL_DELAY = number(1.0)
    REGISTRATION_RETRY_MAX_DELAY = number(60.0)
    TASK_POLL_TIMEOUT = number(30)
    TASK_POLL_ERROR_DELAY = number(5.0)
    POLL_BACKOFF_INITIAL = number(1.0)
    POLL_BACKOFF_MAX = number(60.0)
    POLL_BACKOFF_FACTOR = number(2.0)
    RATE_LIMIT_BACKOFF_FLOOR = number(30.0)
    IDLE_POLL_DELAY = number(0.01)

    TASK_FILES_DIR = text("/tmp/payloads")  # noqa: S108 - the published default
    S3_ENDPOINT_URL = optional()
    S3_ACCESS_KEY = optional()
    S3_SECRET_KEY = optional()
    S3_DEFAULT_BUCKET = text("avtomatika-payloads")
    S3_REGION = text("us-east-1")
    WORKER_BLOB_CACHE_DIR = text("/tmp/avtomatika_cache")  # noqa: S108 - the published default
    WORKER_BLOB_CACHE_MAX_GB = number(5.0)

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        problems: list[str] = []
        for variable in vars(WorkerConfig).values():
            if isinstance(variable, Variable):
                try:
                    variable.fill(self, environ)
                except ValueError as error:
                    problems.append(str(error))
        if problems:
            raise ConfigError("; ".join(problems))
        self.EXTRA_CAPABILITIES: dict[str, Any] = _extra_capabilities(environ)
        self._orchestrators = _orchestrators(environ.get("ORCHESTRATORS_CONFIG", ""))

    def is_set(self, name: str) -> bool:
        """Whether the environment or the program gave the variable, and it is not at its default.

        Raises KeyError for a name that is no variable.
        """
        variable: Variable[Any] = vars(WorkerConfig)[name]
        return variable.is_set(self)

    @property
    def may_use_websockets(self) -> bool:
        """Whether streams may be opened: unless WORKER_TRANSPORT says otherwise, or it says nothing and
        WORKER_ENABLE_WEBSOCKETS was given as false.
        """
        if self.is_set("WORKER_TRANSPORT") or not self.is_set("WORKER_ENABLE_WEBSOCKETS"):
            return self.WORKER_TRANSPORT != "poll"
        return self.WORKER_ENABLE_WEBSOCKETS

    @property
    def ORCHESTRATORS(self) -> list[dict[str, Any]]:  # noqa: N802 - the published name
        """One entry per orchestrator: ``url``, and optionally ``priority``, ``weight``, ``token``."""
        if self._orchestrators is not None:
            return self._orchestrators
        return [{"url": self.ORCHESTRATOR_URL}]

    @ORCHESTRATORS.setter
    def ORCHESTRATORS(self, value: list[dict[str, Any]]) -> None:  # noqa: N802 - the published name
        self._orchestrators = value

    def __repr__(self) -> str:
        shown = (
            f"{name}={'***' if name in _SECRETS and value else repr(value)}"
            for name, value in sorted(vars(self).items())
            if not name.startswith("_")
        )
        return f"WorkerConfig({', '.join(shown)})"


def _extra_capabilities(environ: Mapping[str, str]) -> dict[str, Any]:
    """Variables that begin with the prefix, by the rest of their name in lower case."""
    found: dict[str, Any] = {}
    for name, value in sorted(environ.items()):
        if name.startswith(_EXTRA) and name != _EXTRA:
            found[name.removeprefix(_EXTRA).lower()] = _structured(name, value)
    return found


def _structured(name: str, value: str) -> Any:
    if not value.lstrip().startswith(("{", "[")):
        return value
    try:
        return msgspec.json.decode(value)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{name} must be JSON, as it begins like it: {error}") from None


def _orchestrators(given: str) -> list[dict[str, Any]] | None:
    if not given.strip():
        return None
    try:
        return msgspec.json.decode(given, type=list[dict[str, Any]]) or None
    except msgspec.MsgspecError:
        # The text may hold tokens: it must not be logged.
        _log.warning("ORCHESTRATORS_CONFIG is no JSON list of objects; using ORCHESTRATOR_URL")
        return None
