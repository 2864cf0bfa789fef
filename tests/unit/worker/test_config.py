"""Settings come from the environment, then from code; bad ones are named, secrets are not shown."""

import sys

import pytest

from avtomatika_worker import Worker, WorkerConfig
from avtomatika_worker.conversation.orchestrators import Orchestrator, configured_orchestrators
from avtomatika_worker.errors import ConfigError

DEFAULTS = {
    "WORKER_TYPE": "generic-cpu-worker",
    "WORKER_PORT": 8083,
    "WORKER_HOST": "127.0.0.1",
    "WORKER_TOKEN": None,
    "WORKER_INDIVIDUAL_TOKEN": None,
    "WORKER_SKILLS_DIR": "skills",
    "WORKER_SHUTDOWN_TIMEOUT": 30.0,
    "WORKER_ENABLE_WEBSOCKETS": False,
    "WORKER_ENABLE_METRICS": False,
    "WORKER_HEARTBEAT_DEBOUNCE_DELAY": 0.1,
    "ORCHESTRATOR_URL": "http://localhost:8080",
    "MULTI_ORCHESTRATOR_MODE": "FAILOVER",
    "MAX_CONCURRENT_TASKS": 10,
    "COST_PER_SKILL": {},
    "CPU_CORES": 4,
    "RAM_GB": 0.0,
    "GPU_MODEL": None,
    "GPU_VRAM_GB": 0,
    "GPU_ID": "0",
    "WORKER_DEVICES": [],
    "INSTALLED_SOFTWARE": {"python": f"{sys.version_info.major}.{sys.version_info.minor}"},
    "INSTALLED_MODELS": [],
    "INSTALLED_ARTIFACTS": [],
    "EXTRA_CAPABILITIES": {},
    "HEARTBEAT_INTERVAL": 15,
    "RESULT_MAX_RETRIES": 5,
    "RESULT_RETRY_INITIAL_DELAY": 1.0,
    "REGISTRATION_RETRY_INITIAL_DELAY": 1.0,
    "REGISTRATION_RETRY_MAX_DELAY": 60.0,
    "TASK_POLL_TIMEOUT": 30,
    "TASK_POLL_ERROR_DELAY": 5.0,
    "POLL_BACKOFF_INITIAL": 1.0,
    "POLL_BACKOFF_MAX": 60.0,
    "POLL_BACKOFF_FACTOR": 2.0,
    "IDLE_POLL_DELAY": 0.01,
    "TASK_FILES_DIR": "/tmp/payloads",
    "S3_ENDPOINT_URL": None,
    "S3_ACCESS_KEY": None,
    "S3_SECRET_KEY": None,
    "S3_DEFAULT_BUCKET": "avtomatika-payloads",
    "S3_REGION": "us-east-1",
    "STRICT_EVENT_VALIDATION": True,
    "TLS_CA_PATH": None,
    "TLS_CERT_PATH": None,
    "TLS_KEY_PATH": None,
    "LOG_LEVEL": "INFO",
    "LOG_FORMAT": "text",
}


def config(**environ: str) -> WorkerConfig:
    return WorkerConfig(environ)


@pytest.mark.parametrize(("name", "value"), DEFAULTS.items())
def test_every_variable_has_its_published_default(name: str, value: object) -> None:
    assert getattr(config(), name) == value


def test_the_default_id_is_new_for_each_worker() -> None:
    assert config().WORKER_ID.startswith("worker-")
    assert config().WORKER_ID != config().WORKER_ID


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("WORKER_ID", "cam-01", "cam-01"),
        ("MAX_CONCURRENT_TASKS", "3", 3),
        ("HEARTBEAT_INTERVAL", "0.5", 0.5),
        ("STRICT_EVENT_VALIDATION", "No", False),
        ("WORKER_ENABLE_METRICS", "1", True),
        ("COST_PER_SKILL", '{"blur": 0.5}', {"blur": 0.5}),
        ("INSTALLED_MODELS", '[{"name":"yolo","version":"8"}]', [{"name": "yolo", "version": "8"}]),
        ("LOG_LEVEL", "debug", "DEBUG"),
        ("MAX_CONCURRENT_TASKS", "  ", 10),
    ],
)
def test_values_are_read_with_their_type(name: str, given: str, value: object) -> None:
    assert getattr(config(**{name: given}), name) == value


def test_every_unreadable_variable_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        config(MAX_CONCURRENT_TASKS="many", HEARTBEAT_INTERVAL="-1", COST_PER_SKILL="{", RAM_GB="inf")
    for name in ("MAX_CONCURRENT_TASKS", "HEARTBEAT_INTERVAL", "COST_PER_SKILL", "RAM_GB"):
        assert name in str(caught.value)


def test_code_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_URL", "http://from.env:8080")
    monkeypatch.setenv("WORKER_ID", "from-env")
    mine = WorkerConfig()
    mine.WORKER_ID = "from-code"
    assert (mine.WORKER_ID, mine.ORCHESTRATOR_URL) == ("from-code", "http://from.env:8080")


def test_arguments_of_the_worker_win_over_its_settings() -> None:
    mine = config(WORKER_TYPE="from-env", MAX_CONCURRENT_TASKS="7")
    Worker(config=mine)
    assert (mine.WORKER_TYPE, mine.MAX_CONCURRENT_TASKS) == ("from-env", 7)
    Worker("from-code", 3, config=mine)
    assert (mine.WORKER_TYPE, mine.MAX_CONCURRENT_TASKS) == ("from-code", 3)


def test_extra_capabilities_are_collected() -> None:
    mine = config(WORKER_EXTRA_ZONE="eu", WORKER_EXTRA_TAGS='["a"]', WORKER_EXTRA_N="1")
    assert mine.EXTRA_CAPABILITIES == {"zone": "eu", "tags": ["a"], "n": "1"}


def test_secrets_are_never_shown() -> None:
    mine = config(
        WORKER_TOKEN="hush-1",
        WORKER_INDIVIDUAL_TOKEN="hush-2",
        S3_SECRET_KEY="hush-3",
        ORCHESTRATORS_CONFIG='[{"url":"http://a","token":"hush-4"}]',
    )
    shown = repr(mine) + repr(configured_orchestrators(mine))
    assert "hush" not in shown


def test_orchestrators_come_by_priority_with_their_tokens() -> None:
    mine = config(
        WORKER_TOKEN="global",
        ORCHESTRATOR_URL="http://unused",
        ORCHESTRATORS_CONFIG='[{"url":"http://b","priority":20},{"url":"http://a/","weight":3,"token":"own"}]',
    )
    assert configured_orchestrators(mine) == (
        Orchestrator("http://a", 10, 3, "own"),
        Orchestrator("http://b", 20, 1, "global"),
    )


@pytest.mark.parametrize("given", ["", "not json", "{}", "[1]", "[]"])
def test_a_single_orchestrator_stands_in_for_a_list_that_cannot_be_read(given: str) -> None:
    mine = config(WORKER_TOKEN="t", ORCHESTRATORS_CONFIG=given)
    mine.ORCHESTRATOR_URL = "http://assigned.later:1"
    assert [found.url for found in configured_orchestrators(mine)] == ["http://assigned.later:1"]


def test_the_individual_token_comes_before_the_common_one() -> None:
    (found,) = configured_orchestrators(config(WORKER_TOKEN="common", WORKER_INDIVIDUAL_TOKEN="own"))
    assert found.token == "own"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "WORKER_TOKEN"),
        ({"WORKER_TOKEN": "t", "WORKER_ID": "not an id"}, "WORKER_ID"),
        ({"WORKER_TOKEN": "t", "ORCHESTRATOR_URL": "localhost:8080"}, "localhost:8080"),
        ({"WORKER_TOKEN": "t", "ORCHESTRATORS_CONFIG": '[{"url":"http://a"},{"url":"http://a"}]'}, "once"),
        ({"WORKER_TOKEN": "t", "ORCHESTRATORS_CONFIG": '[{"priority":1}]'}, "url"),
    ],
)
async def test_a_worker_that_cannot_work_says_why(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        await Worker(config=config(**environ)).main()


@pytest.mark.parametrize(("given", "way"), [("", "auto"), ("STREAM", "stream"), (" poll ", "poll")])
def test_the_way_to_orchestrators_is_one_of_three(given: str, way: str) -> None:
    assert way == WorkerConfig({"WORKER_TRANSPORT": given}).WORKER_TRANSPORT


def test_another_way_is_refused() -> None:
    with pytest.raises(ConfigError, match="WORKER_TRANSPORT must be one of auto, stream, poll, not 'pigeon'"):
        WorkerConfig({"WORKER_TRANSPORT": "pigeon"})
