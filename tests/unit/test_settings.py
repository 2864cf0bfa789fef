"""Every variable is read, and everything that is wrong with them is said at once."""

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from avtomatika.config import VARIABLES, Config
from avtomatika.errors import ConfigError
from avtomatika.settings import Settings, is_loopback, read, redacted

TOKEN = "a-token-that-is-long-enough"
WEBHOOK_SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"

# A value for each variable, and where it is found.
READ: dict[str, tuple[str, Any, Any]] = {
    "API_HOST": ("127.0.0.2", lambda s: s.http.host, "127.0.0.2"),
    "API_PORT": ("0", lambda s: s.http.port, 0),
    "APPROVAL_SECRET": (TOKEN, lambda s: s.approval_secret, TOKEN),
    "AVTOMATIKA_DATA_DIR": ("/data", lambda s: s.data_dir, Path("/data")),
    "AVTOMATIKA_INSECURE_HTTP": ("true", lambda s: s.http.insecure, True),
    "BLUEPRINTS_DIR": (str(Path(__file__).parent), lambda s: s.blueprints_dir, Path(__file__).parent),
    "CLIENT_API_PREFIX": ("/x/", lambda s: s.http.prefix, "x"),
    "CLIENT_TOKEN": (TOKEN, lambda s: s.client_token, TOKEN),
    "DETAILED_API_RESPONSES": ("1", lambda s: s.http.detailed, True),
    "DISPATCHER_MAX_CANDIDATES": ("8", lambda s: s.dispatch.rules.max_candidates, 8),
    "DISPATCHER_SOFT_LIMIT": ("9", lambda s: s.dispatch.rules.soft_limit, 9),
    "DISPATCHER_SPILL_AFTER_SECONDS": ("0.5", lambda s: s.dispatch.rules.spill_after, 500),
    "DRAIN_NOTICE_SECONDS": ("2", lambda s: s.drain_notice, 2_000),
    "DRAIN_TIMEOUT_SECONDS": ("1.5", lambda s: s.drain, 1_500),
    "ENABLE_CLIENT_API": ("False", lambda s: s.http.client_api, False),
    "EXECUTOR_MAX_CONCURRENT_JOBS": ("7", lambda s: s.width, 7),
    "FILES_RETENTION_SECONDS": ("5", lambda s: s.files.keep, 5_000),
    "GLOBAL_WORKER_TOKEN": (TOKEN, lambda s: s.worker_token, TOKEN),
    "HISTORY_DATABASE_URI": ("sqlite:///h.db", lambda s: s.history_uri, "sqlite:///h.db"),
    "INSTANCE_ID": ("n1", lambda s: s.instance, "n1"),
    "JOB_MAX_RETRIES": ("9", lambda s: (s.policy.task_retries, s.policy.handler_retries), (9, 9)),
    "JOB_RETENTION_DAYS": ("2", lambda s: s.keep_finished, 2 * 86_400_000),
    "LOG_LEVEL": ("debug", lambda s: s.log_level, "DEBUG"),
    "MAX_BODY_BYTES": ("2048", lambda s: s.http.max_body, 2_048),
    "ORCHESTRATOR_SECRET_KEY": (TOKEN, lambda s: s.workers.task_key, TOKEN),
    "WORKERS_CONFIG_PATH": (__file__, lambda s: s.workers.tokens, Path(__file__)),
    "WORKER_ACCESS_TOKEN_SECONDS": ("900", lambda s: s.workers.access_life, 900_000),
    "WORKER_EVENTS_PER_SECOND": ("7", lambda s: s.workers.events, 7),
    "WORKER_AUTH_MODE": ("token-only", lambda s: s.http.tls.proof, "TOKEN-ONLY"),
    "WORKER_SIGNATURES": ("required", lambda s: s.workers.signed, True),
    "MAX_DELIVERIES": ("8", lambda s: s.policy.max_deliveries, 8),
    "MAX_TRANSITIONS_PER_JOB": ("11", lambda s: s.policy.max_steps, 11),
    "OFFLOAD_VALUES_BYTES": ("2000", lambda s: s.files.most_inside, 2_000),
    "OPERATOR_TOKEN": (TOKEN, lambda s: s.operator_token, TOKEN),
    "PUBLIC_URL": ("https://a.example/b/", lambda s: s.http.public_url, "https://a.example/b"),
    "REPUTATION_MIN_THRESHOLD": ("0.4", lambda s: s.dispatch.rules.reputation_floor, 0.4),
    "REPUTATION_PENALTY_CONTRACT_VIOLATION": ("0.1", lambda s: s.dispatch.reputation.contract_violation, 0.1),
    "REPUTATION_PENALTY_TASK_FAILURE": ("0.2", lambda s: s.dispatch.reputation.failure, 0.2),
    "REPUTATION_REWARD_SUCCESS": ("0.3", lambda s: s.dispatch.reputation.success, 0.3),
    "MAX_UNFINISHED_JOBS": ("77", lambda s: s.room.of_all, 77),
    "MAX_UNFINISHED_JOBS_PER_CLIENT": ("7", lambda s: s.room.of_client, 7),
    "MAX_UPLOAD_BYTES": ("9", lambda s: s.files.most, 9),
    "RETRY_BACKOFF_MAX_SECONDS": ("60", lambda s: s.policy.backoff_most, 60_000),
    "RETRY_BACKOFF_SECONDS": ("0.5", lambda s: s.policy.backoff_first, 500),
    "RUN_LEASE_SECONDS": ("12", lambda s: s.run_lease, 12_000),
    "S3_ACCESS_KEY": ("id", lambda s: s.files.s3 and s.files.s3.access_key, "id"),
    "S3_AUTO_CLEANUP": ("false", lambda s: s.files.keep, None),
    "S3_DEFAULT_BUCKET": ("some-bucket", lambda s: s.files.bucket, "some-bucket"),
    "S3_ENDPOINT_URL": ("https://s3/", lambda s: s.files.s3 and s.files.s3.endpoint, "https://s3"),
    "S3_MAX_CONCURRENCY": ("6", lambda s: s.files.concurrency, 6),
    "S3_REGION": ("eu-1", lambda s: s.files.s3 and s.files.s3.region, "eu-1"),
    "S3_SECRET_KEY": ("key", lambda s: s.files.s3 and s.files.s3.secret_key, "key"),
    "SCHEDULES_CONFIG_PATH": (__file__, lambda s: s.schedules.file, Path(__file__)),
    "REDIS_DB": ("3", lambda s: s.storage.url, "redis://h:6379/3"),
    "REDIS_HOST": ("h", lambda s: s.storage.url, "redis://h:6379/0"),
    "REDIS_PASSWORD": ("p/w", lambda s: s.storage.url, "redis://:p%2Fw@h:6379/0"),
    "REDIS_PORT": ("7", lambda s: s.storage.url, "redis://h:7/0"),
    "STORAGE_DURABILITY": ("replicated", lambda s: s.storage.replicated, True),
    "STORAGE_PREFIX": ("mine", lambda s: s.storage.prefix, "mine"),
    "AVTOMATIKA_ALLOW_VOLATILE_REDIS": ("1", lambda s: s.storage.volatile, True),
    "STORAGE_URL": ("memory://", lambda s: s.storage.url, "memory://"),
    "TASK_FILES_DIR": ("/copies", lambda s: s.files.local, Path("/copies")),
    "TASK_LEASE_SECONDS": ("13", lambda s: s.task_lease, 13_000),
    "TLS_CA_PATH": (__file__, lambda s: s.http.tls.certificates.authority, Path(__file__)),
    "TLS_CERT_PATH": (__file__, lambda s: s.http.tls.certificates.certificate, Path(__file__)),
    "TLS_ENABLED": ("true", lambda s: s.http.tls.certificates is not None, True),
    "TLS_KEY_PATH": (__file__, lambda s: s.http.tls.certificates.key, Path(__file__)),
    "TLS_REQUIRE_CLIENT_CERT": ("true", lambda s: s.http.tls.certificates.demands, True),
    "TZ": (":Europe/Berlin", lambda s: s.schedules.zone, "Europe/Berlin"),
    "WEBHOOK_ALLOWED_HOSTS": (
        "db.Example, 10.1.0.0/16",
        lambda s: (s.webhooks.reach.hosts, s.webhooks.reach.networks),
        ({"db.example"}, (ip_network("10.1.0.0/16"),)),
    ),
    "WEBHOOK_ALLOW_HTTP": ("true", lambda s: s.webhooks.reach.http, True),
    "WEBHOOK_ALLOW_PRIVATE": ("true", lambda s: s.webhooks.reach.private, True),
    "WEBHOOK_BACKOFF_MAX_SECONDS": ("17", lambda s: s.webhooks.policy.backoff_most, 17_000),
    "WEBHOOK_BACKOFF_SECONDS": ("0.1", lambda s: s.webhooks.policy.backoff_first, 100),
    "WEBHOOK_CONCURRENCY": ("3", lambda s: s.webhooks.width, 3),
    "WEBHOOK_DEAD_LETTER_DAYS": ("1", lambda s: s.webhooks.policy.keep_dead, 86_400_000),
    "WEBHOOK_MAX_TRIES": ("4", lambda s: s.webhooks.policy.tries, 4),
    "WEBHOOK_SECRET": (WEBHOOK_SECRET, lambda s: s.webhook_secret, WEBHOOK_SECRET),
    "WEBHOOK_TIMEOUT_SECONDS": ("18", lambda s: s.webhooks.timeout, 18_000),
    "WORKER_HEALTH_CHECK_INTERVAL_SECONDS": ("14", lambda s: s.worker_ttl, 28_000),
    "WORKER_POLL_TIMEOUT_SECONDS": ("15", lambda s: s.longest_poll, 15_000),
    "WORKER_TIMEOUT_SECONDS": ("16", lambda s: s.policy.execution_timeout, 16_000),
    "WORK_STEALING_ENABLED": ("false", lambda s: s.dispatch.rules.stealing, False),
}


# Without one of them there is no S3.
S3 = {"S3_ENDPOINT_URL": "http://127.0.0.1:9000", "S3_ACCESS_KEY": "a", "S3_SECRET_KEY": "s"}

# Without it there is no Redis.
REDIS = {"REDIS_HOST": "h"}

# Without these there is no TLS.
TLS = {"TLS_ENABLED": "true", "TLS_CERT_PATH": str(Path(__file__).parent / "test_credentials.py")}
TLS |= {"TLS_KEY_PATH": TLS["TLS_CERT_PATH"], "TLS_CA_PATH": TLS["TLS_CERT_PATH"]}


def settings(**variables: str) -> Settings:
    return Config(variables).settings()


def refused(**variables: str) -> str:
    with pytest.raises(ConfigError) as caught:
        settings(**variables)
    return caught.value.message


@pytest.mark.parametrize("name", READ)
def test_the_variable_is_read(name: str) -> None:
    text, where, value = READ[name]
    others = S3 if name in S3 or name == "S3_REGION" else {}
    others |= REDIS if name.startswith("REDIS_") or name == "STORAGE_DURABILITY" else {}
    others |= TLS if name.startswith("TLS_") else {}
    assert where(settings(**others | {name: text})) == value
    before = settings(**TLS) if name.startswith("TLS_") and name != "TLS_ENABLED" else settings()
    assert where(before) != value


def test_no_variable_is_forgotten_here() -> None:
    assert set(READ) == set(VARIABLES)


def test_the_defaults_that_are_told_are_the_ones_that_hold() -> None:
    assert Config({}).settings() == read({})
    told = {name: text for name, text in VARIABLES.items() if text}
    assert read(told) == read({})


def test_the_published_defaults_hold() -> None:
    found = settings()
    assert (found.http.host, found.http.port, found.http.prefix) == ("127.0.0.1", 8080, "api")
    assert (found.policy.max_steps, found.policy.task_retries, found.width) == (100, 3, 1_000)
    assert found.storage.url == "sqlite:///.avtomatika/avtomatika.db"
    assert (found.client_token, found.worker_token, found.keep_finished) == (None, None, None)


def test_an_empty_variable_is_none() -> None:
    assert settings(**dict.fromkeys(VARIABLES, "")) == settings()


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("API_PORT", ["x", "-1", "65536", "1.5", "8080x"]),
        ("API_HOST", ["0.0.0.0", "::", "192.0.2.7", "example.org"]),
        ("EXECUTOR_MAX_CONCURRENT_JOBS", ["0", "-5", "many"]),
        ("MAX_BODY_BYTES", ["0", "1023", "1MB"]),
        ("MAX_DELIVERIES", ["0"]),
        ("MAX_TRANSITIONS_PER_JOB", ["0", "1e3"]),
        ("JOB_MAX_RETRIES", ["-1"]),
        ("TASK_LEASE_SECONDS", ["0", "-1", "x", "nan", "inf", "1e300", "30s"]),
        ("RUN_LEASE_SECONDS", ["0", "inf"]),
        ("WORKER_HEALTH_CHECK_INTERVAL_SECONDS", ["0", "nan"]),
        ("WORKER_TIMEOUT_SECONDS", ["0", "inf"]),
        ("WORKER_POLL_TIMEOUT_SECONDS", ["-0.1", "inf"]),
        ("DISPATCHER_SOFT_LIMIT", ["0", "1.5"]),
        ("DISPATCHER_MAX_CANDIDATES", ["0", "x"]),
        ("DISPATCHER_SPILL_AFTER_SECONDS", ["-1", "inf"]),
        ("REPUTATION_MIN_THRESHOLD", ["-0.1", "1.1", "nan", "x"]),
        ("DRAIN_TIMEOUT_SECONDS", ["-1", "inf"]),
        ("ENABLE_CLIENT_API", ["maybe", "2", "on "]),
        ("DETAILED_API_RESPONSES", ["ja"]),
        ("BLUEPRINTS_DIR", ["/there/is/no/such/folder"]),
        ("SCHEDULES_CONFIG_PATH", ["/there/is/no/such/file", "/tmp"]),
        ("LOG_LEVEL", ["LOUD", "7"]),
        ("PUBLIC_URL", ["a.example", "ftp://a", "http://", "http://u:p@a", "http://a?b", "http://a:x"]),
        ("CLIENT_API_PREFIX", ["a b", "{x}", "a?b", "_worker", "_public/x"]),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(name: str, texts: list[str]) -> None:
    for text in texts:
        assert name in refused(**{name: text}), text


@pytest.mark.parametrize(("text", "prefix"), [("/", ""), ("api/v9", "api/v9"), ("/a/b/", "a/b")])
def test_the_prefix_may_be_any_plain_path(text: str, prefix: str) -> None:
    assert settings(CLIENT_API_PREFIX=text).http.prefix == prefix


def test_all_problems_are_said_at_once() -> None:
    said = refused(
        API_PORT="x", TASK_LEASE_SECONDS="y", API_HOST="0.0.0.0", CLIENT_TOKEN="short", LOG_LEVEL="z"
    )
    for name in ("API_PORT", "TASK_LEASE_SECONDS", "API_HOST", "CLIENT_TOKEN", "LOG_LEVEL"):
        assert name in said
    assert "'x'" in said


@pytest.mark.parametrize("name", ["CLIENT_TOKEN", "GLOBAL_WORKER_TOKEN"])
@pytest.mark.parametrize("token", ["secure-worker-token", "secure-orchestrator-token", "changeme", "x" * 15])
def test_a_token_that_others_know_or_guess_is_refused_without_being_said(name: str, token: str) -> None:
    said = refused(**{name: token})
    assert name in said
    assert token not in said


def test_a_proxy_may_be_in_front() -> None:
    assert settings(API_HOST="0.0.0.0", AVTOMATIKA_INSECURE_HTTP="true").http.host == "0.0.0.0"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        *((host, True) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost")),
        *((host, False) for host in ("0.0.0.0", "::", "10.0.0.1", "localhost.example.org", "")),
    ],
)
def test_only_this_machine_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_assignments_overrule_the_environment() -> None:
    config = Config({"API_PORT": "1", "JOB_MAX_RETRIES": "5"})
    config.API_PORT = 2
    config.DETAILED_API_RESPONSES = True
    config.JOB_MAX_RETRIES = None
    found = config.settings()
    assert (found.http.port, found.http.detailed, found.policy.task_retries) == (2, True, 3)
    assert config.API_PORT == "2"


def test_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_PORT", "1234")
    config = Config()
    monkeypatch.setenv("API_PORT", "4321")
    assert config.settings().http.port == 1234


def test_a_setting_that_there_is_not_is_refused() -> None:
    config = Config({})
    with pytest.raises(ConfigError, match="API_PROT"):
        config.API_PROT = 1
    with pytest.raises(AttributeError, match="API_PROT"):
        _ = config.API_PROT


def test_no_secret_is_shown() -> None:
    config = Config({"CLIENT_TOKEN": TOKEN, "GLOBAL_WORKER_TOKEN": TOKEN, "STORAGE_URL": "redis://u:pass@h"})
    assert TOKEN not in repr(config)
    assert "pass" not in repr(config)
    assert TOKEN not in repr(settings(CLIENT_TOKEN=TOKEN))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:pass@host/0", "redis://***@host/0"),
        ("redis://user:p@ss@host/0", "redis://***@host/0"),
        ("sqlite:///a.db", "sqlite:///a.db"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert redacted(url) == shown


@pytest.mark.parametrize(
    "secret",
    [
        "a-token-that-is-long-enough",
        "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
        "whsec_Zm9v",
        "whsec_c2hvcnQ=",
        "whsec_!!!!MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
        f"{WEBHOOK_SECRET} whsec_c2hvcnQ=",
        "whsec_" + "QUJD" * 30,
    ],
)
def test_a_webhook_secret_that_receivers_could_not_use_is_refused_and_not_shown(secret: str) -> None:
    message = refused(WEBHOOK_SECRET=secret)
    assert "WEBHOOK_SECRET: must be whsec_" in message
    assert secret not in message


def test_webhook_secrets_may_be_several() -> None:
    both = f"{WEBHOOK_SECRET} whsec_{'QUJD' * 8}"
    assert settings(WEBHOOK_SECRET=both).webhook_secret == both


@pytest.mark.parametrize("hosts", ["10.0.0.1/8", "300.0.0.0/8", "host:80", "https://host/"])
def test_an_allowed_host_is_a_name_or_a_network(hosts: str) -> None:
    assert "WEBHOOK_ALLOWED_HOSTS" in refused(WEBHOOK_ALLOWED_HOSTS=hosts)


@pytest.mark.parametrize(
    "uri",
    [
        "h.db",
        "sqlite:h.db",
        "sqlite:///",
        "sqlite:////",
        "mysql://h/d",
        "postgresql://h:port/d",
        "postgresql://h:0/d",
    ],
)
def test_a_history_that_cannot_be_is_refused_by_name(uri: str) -> None:
    assert "HISTORY_DATABASE_URI" in refused(HISTORY_DATABASE_URI=uri)


@pytest.mark.parametrize("password", ["12/s3cret", "s3c/ret", "a@s3cret/b@c", "s3cret]["])
def test_a_password_that_makes_a_uri_unreadable_is_not_said(password: str) -> None:
    said = refused(HISTORY_DATABASE_URI=f"postgresql://user:{password}@host/database")
    assert "HISTORY_DATABASE_URI" in said
    assert "s3c" not in said


@pytest.mark.parametrize(
    "uri", ["postgresql://u:p%2Fw@h:5432/d?sslmode=require", "postgres://h", "postgresql:///d"]
)
def test_a_history_in_postgresql_is_named_as_its_tools_name_it(uri: str) -> None:
    found = Config({"HISTORY_DATABASE_URI": uri})
    assert found.settings().history_uri == uri
    assert uri not in repr(found)
    assert uri not in repr(found.settings())


@pytest.mark.parametrize("history", ["sqlite:///x/jobs.db", "sqlite:///x/../x/jobs.db"])
def test_the_history_has_a_file_of_its_own(history: str) -> None:
    said = refused(STORAGE_URL="sqlite:///x/jobs.db", HISTORY_DATABASE_URI=history)
    assert "HISTORY_DATABASE_URI: is the file of STORAGE_URL" in said


@pytest.mark.parametrize("missing", S3)
def test_a_part_of_an_s3_is_none(missing: str) -> None:
    assert missing in refused(**{name: value for name, value in S3.items() if name != missing})


def test_no_text_of_the_settings_has_the_keys_of_the_s3() -> None:
    found = settings(**S3 | {"S3_SECRET_KEY": "very-secret"})
    assert "very-secret" not in repr(found.files) + repr(found)
    assert "very-secret" not in repr(Config(S3 | {"S3_SECRET_KEY": "very-secret"}))


@pytest.mark.parametrize(
    ("storage_url", "folder"),
    [
        ("", Path(".avtomatika/files")),
        ("sqlite:////data/jobs.db", Path("/data/files")),
        ("memory://", None),
    ],
)
def test_files_are_beside_the_database(storage_url: str, folder: Path | None) -> None:
    assert settings(STORAGE_URL=storage_url).files.folder == folder


def test_only_where_workers_may_leave_files_every_end_of_a_job_asks_for_their_removal() -> None:
    assert settings().policy.keep_files is None
    assert settings(**S3).policy.keep_files == settings(**S3).files.keep == 86_400_000
    assert settings(**S3, S3_AUTO_CLEANUP="false").policy.keep_files is None


@pytest.mark.parametrize("missing", ["TLS_CERT_PATH", "TLS_KEY_PATH"])
def test_tls_has_a_certificate_and_a_key(missing: str) -> None:
    assert missing in refused(**TLS | {missing: ""})
    assert "there is no file /nowhere" in refused(**TLS | {missing: "/nowhere"})


def test_who_asks_for_certificates_says_whose() -> None:
    for demand in ({"WORKER_AUTH_MODE": "mtls-only"}, {"TLS_REQUIRE_CLIENT_CERT": "true"}):
        assert "TLS_CA_PATH" in refused(**TLS | {"TLS_CA_PATH": ""} | demand)
        assert settings(**TLS | demand).http.tls.certificates is not None
    assert "needs TLS_ENABLED" in refused(WORKER_AUTH_MODE="mtls-only")


def test_with_tls_any_address_may_be_listened_on() -> None:
    assert settings(**TLS, API_HOST="0.0.0.0").http.host == "0.0.0.0"
    assert "TLS_ENABLED" in refused(API_HOST="0.0.0.0")
