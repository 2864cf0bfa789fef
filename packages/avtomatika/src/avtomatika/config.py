"""`Config`: the settings as upper-case attributes, read from the environment and assignable afterwards."""

import os
from collections.abc import Mapping
from typing import Final

from avtomatika.errors import ConfigError
from avtomatika.settings import Settings, read

__all__ = ["Config", "VARIABLES"]

VARIABLES: Final[Mapping[str, str]] = {
    "API_HOST": "127.0.0.1",
    "API_PORT": "8080",
    "APPROVAL_SECRET": "",
    "AVTOMATIKA_ALLOW_VOLATILE_REDIS": "false",
    "AVTOMATIKA_DATA_DIR": ".avtomatika",
    "AVTOMATIKA_INSECURE_HTTP": "false",
    "BLUEPRINTS_DIR": "",
    "CLIENT_API_PREFIX": "api",
    "CLIENT_TOKEN": "",
    "DETAILED_API_RESPONSES": "false",
    "DISPATCHER_MAX_CANDIDATES": "50",
    "DISPATCHER_SOFT_LIMIT": "3",
    "DISPATCHER_SPILL_AFTER_SECONDS": "5",
    "DRAIN_NOTICE_SECONDS": "0",
    "DRAIN_TIMEOUT_SECONDS": "25",
    "ENABLE_CLIENT_API": "true",
    "EXECUTOR_MAX_CONCURRENT_JOBS": "1000",
    "FILES_RETENTION_SECONDS": "86400",
    "GLOBAL_WORKER_TOKEN": "",
    "HISTORY_DATABASE_URI": "",
    "INSTANCE_ID": "",
    "JOB_MAX_RETRIES": "3",
    "JOB_RETENTION_DAYS": "0",
    "LOG_LEVEL": "INFO",
    "MAX_BODY_BYTES": "1048576",
    "MAX_DELIVERIES": "5",
    "MAX_TRANSITIONS_PER_JOB": "100",
    "MAX_UNFINISHED_JOBS": "2000000",
    "MAX_UNFINISHED_JOBS_PER_CLIENT": "100000",
    "MAX_UPLOAD_BYTES": "5368709120",
    "OFFLOAD_VALUES_BYTES": "262144",
    "OPERATOR_TOKEN": "",
    "ORCHESTRATOR_SECRET_KEY": "",
    "PUBLIC_URL": "",
    "REDIS_DB": "0",
    "REDIS_HOST": "",
    "REDIS_PASSWORD": "",
    "REDIS_PORT": "6379",
    "REPUTATION_MIN_THRESHOLD": "0.3",
    "REPUTATION_PENALTY_CONTRACT_VIOLATION": "0.2",
    "REPUTATION_PENALTY_TASK_FAILURE": "0.05",
    "REPUTATION_REWARD_SUCCESS": "0.001",
    "RETRY_BACKOFF_MAX_SECONDS": "300",
    "RETRY_BACKOFF_SECONDS": "1",
    "RUN_LEASE_SECONDS": "30",
    "S3_ACCESS_KEY": "",
    "S3_AUTO_CLEANUP": "true",
    "S3_DEFAULT_BUCKET": "avtomatika-payloads",
    "S3_ENDPOINT_URL": "",
    "S3_MAX_CONCURRENCY": "100",
    "S3_REGION": "us-east-1",
    "S3_SECRET_KEY": "",
    "SCHEDULES_CONFIG_PATH": "",
    "STORAGE_DURABILITY": "LOCAL",
    "STORAGE_PREFIX": "avtomatika",
    "STORAGE_URL": "",
    "TASK_FILES_DIR": "/tmp/avtomatika-payloads",  # noqa: S108 - published; made for its owner alone
    "TASK_LEASE_SECONDS": "30",
    "TLS_CA_PATH": "",
    "TLS_CERT_PATH": "",
    "TLS_ENABLED": "false",
    "TLS_KEY_PATH": "",
    "TLS_REQUIRE_CLIENT_CERT": "false",
    "TZ": "UTC",
    "WEBHOOK_ALLOWED_HOSTS": "",
    "WEBHOOK_ALLOW_HTTP": "false",
    "WEBHOOK_ALLOW_PRIVATE": "false",
    "WEBHOOK_BACKOFF_MAX_SECONDS": "43200",
    "WEBHOOK_BACKOFF_SECONDS": "5",
    "WEBHOOK_CONCURRENCY": "100",
    "WEBHOOK_DEAD_LETTER_DAYS": "30",
    "WEBHOOK_MAX_TRIES": "15",
    "WEBHOOK_SECRET": "",
    "WEBHOOK_TIMEOUT_SECONDS": "10",
    "WORKER_ACCESS_TOKEN_SECONDS": "3600",
    "WORKER_AUTH_MODE": "mixed",
    "WORKER_EVENTS_PER_SECOND": "20",
    "WORKER_HEALTH_CHECK_INTERVAL_SECONDS": "60",
    "WORKER_POLL_TIMEOUT_SECONDS": "30",
    "WORKER_SIGNATURES": "optional",
    "WORKER_TIMEOUT_SECONDS": "300",
    "WORKERS_CONFIG_PATH": "",
    "WORK_STEALING_ENABLED": "true",
}
"""Every variable with its default, as text. An empty one counts as unset."""

_SECRET: Final = frozenset(
    {
        "APPROVAL_SECRET",
        "CLIENT_TOKEN",
        "GLOBAL_WORKER_TOKEN",
        "HISTORY_DATABASE_URI",
        "OPERATOR_TOKEN",
        "ORCHESTRATOR_SECRET_KEY",
        "REDIS_PASSWORD",
        "S3_ACCESS_KEY",
        "S3_SECRET_KEY",
        "STORAGE_URL",
        "WEBHOOK_SECRET",
    }
)


class Config:
    """What a node is told. Assign to an attribute to overrule the environment.

    Values keep the text of the environment; numbers and truth values may be assigned as such.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        source = os.environ if environ is None else environ
        self._values: dict[str, str] = {
            name: source.get(name, default) for name, default in VARIABLES.items()
        }

    def __getattr__(self, name: str) -> str:
        if name in VARIABLES:
            return self._values[name]
        raise AttributeError(f"There is no setting {name}.")

    def __setattr__(self, name: str, value: object) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        elif name in VARIABLES:
            self._values[name] = "" if value is None else str(value)
        else:
            raise ConfigError(f"There is no setting {name}.")

    def __repr__(self) -> str:
        shown = (f"{k}={'***' if k in _SECRET and v else v!r}" for k, v in self._values.items())
        return f"Config({', '.join(shown)})"

    def settings(self) -> Settings:
        """The frozen settings that these values make. Raises ConfigError that names every problem."""
        return read({name: value for name, value in self._values.items() if value != ""})
