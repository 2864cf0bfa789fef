"""Every variable that published pages name is read, has its default, and makes a difference that can be seen.

`published_variables.txt` has the names; the table here says for each what changes when it is set.
"""

import inspect
import os
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme

from avtomatika_worker import WorkerConfig
from avtomatika_worker.environment import Variable
from tests.integration.worker import setting_probes as probe
from tests.integration.worker.setting_probes import Stage, encoded, registered, storage

ANY = object()
PUBLISHED = Path(__file__).parents[2] / "unit" / "worker" / "published_variables.txt"
EXTRA = "WORKER_EXTRA_*"
GPU = {"GPU_MODEL": "T4"}
S3 = {"S3_ENDPOINT_URL": "http://set.below"}
TWO = {"ORCHESTRATORS_CONFIG": '[{"url":"http://a","priority":1},{"url":"http://b","priority":2}]'}
KEY = {"ORCHESTRATOR_SECRET_KEY": "key"}


class Row(NamedTuple):
    """Set to ``value``, ``seen`` says ``then``; else ``before``. ``besides`` is set both times."""

    variable: str
    value: str
    seen: Any
    before: Any
    then: Any
    besides: dict[str, str] = {}


def polled(*pauses: float) -> list[float]:
    return list(pauses)


TABLE = [
    Row("WORKER_ID", "cam-01", registered(lambda said: said.worker_id), "w1", "cam-01"),
    Row("WORKER_TYPE", "gpu", registered(lambda said: said.worker_type), "generic-cpu-worker", "gpu"),
    Row("WORKER_TOKEN", "common", probe.tokens, ["token"], ["common"]),
    Row("WORKER_INDIVIDUAL_TOKEN", "own", probe.tokens, ["token"], ["own"]),
    Row("WORKER_HOST", "127.0.0.2", probe.answers_on, "127.0.0.1", "127.0.0.2"),
    Row("WORKER_PORT", "FREE", probe.port_of_health, 8083, "FREE"),
    Row("WORKER_SKILLS_DIR", "FOLDER/mine", probe.skills_of_the_folder, [], ["found"]),
    Row("WORKER_SHUTDOWN_TIMEOUT", "0.01", probe.finishes_after_the_signal, True, False),
    Row("WORKER_SPOOL", "false", probe.folders_of_spools, ["spool"], []),
    Row("WORKER_SPOOL_DIR", "FOLDER/my-spool", probe.folders_of_spools, ["spool"], ["my-spool"]),
    Row("WORKER_ENABLE_WEBSOCKETS", "false", probe.way, "SwitchingTransport", "HttpTransport"),
    Row("WORKER_TRANSPORT", "poll", probe.way, "SwitchingTransport", "HttpTransport"),
    Row("WORKER_ENABLE_METRICS", "true", probe.status_of_metrics, 404, 200),
    Row("WORKER_ENABLE_TRACING", "true", probe.trace_within_a_handler, None, probe.TRACE),
    Row("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1", probe.trace_within_a_handler, None, probe.TRACE),
    Row("WORKER_HEARTBEAT_DEBOUNCE_DELAY", "0.7", probe.news_at_rest, 0.1, 0.7),
    Row("WORKER_HEARTBEAT_COOLDOWN", "5", probe.news_after_a_heartbeat, 2.0, 5.0),
    Row("WORKER_TELEMETRY_DEADBAND", "1", probe.told_of_three_points, False, True),
    Row("WORKER_TELEMETRY_FORCE_INTERVAL", "0", probe.told_again, False, True),
    Row("STRICT_EVENT_VALIDATION", "false", probe.events_that_arrive, ["declared"], ["declared", "surprise"]),
    Row("LOG_LEVEL", "debug", probe.log_of_a_program, ("INFO", False), ("DEBUG", False)),
    Row("LOG_FORMAT", "json", probe.log_of_a_program, ("INFO", False), ("INFO", True)),
    Row("ORCHESTRATOR_URL", "http://a:1", probe.urls, ["http://localhost:8080"], ["http://a:1"]),
    Row("ORCHESTRATORS_CONFIG", TWO["ORCHESTRATORS_CONFIG"], probe.urls, ANY, ["http://a", "http://b"]),
    Row("MULTI_ORCHESTRATOR_MODE", "round_robin", probe.both_orchestrators_bring_work, False, True, TWO),
    Row(
        "TLS_CA_PATH",
        "absent.pem",
        probe.way,
        "SwitchingTransport",
        "TLS_CA_PATH, TLS_CERT_PATH, TLS_KEY_PATH",
    ),
    Row(
        "TLS_CERT_PATH",
        "FOLDER/cert.pem",
        probe.way,
        "SwitchingTransport",
        "TLS_CA_PATH, TLS_CERT_PATH, TLS_KEY_PATH",  # a certificate without its key
    ),
    Row(
        "TLS_KEY_PATH",
        "FOLDER/key.pem",
        probe.way,
        "TLS_CA_PATH, TLS_CERT_PATH, TLS_KEY_PATH",
        "SwitchingTransport",
        {"TLS_CERT_PATH": "FOLDER/cert.pem"},
    ),
    Row("REQUIRE_TASK_SIGNATURE", "false", probe.error_of_an_unsigned_task, "SECURITY_ERROR", None, KEY),
    Row("ORCHESTRATOR_SECRET_KEY", "key", probe.error_of_an_unsigned_task, None, "SECURITY_ERROR"),
    Row("SECRET_KEY", "key", probe.error_of_an_unsigned_task, None, "SECURITY_ERROR"),
    Row("MAX_CONCURRENT_TASKS", "3", probe.poll_limit, 10, 3),
    Row(
        "COST_PER_SKILL",
        '{"work":0.5}',
        registered(lambda said: said.capabilities.cost_per_skill),
        None,
        {"work": 0.5},
    ),
    Row("CPU_CORES", "77", registered(lambda said: probe.properties(said)["cpu_cores"]), ANY, 77),
    Row("RAM_GB", "7.5", registered(lambda said: probe.properties(said)["ram_gb"]), ANY, 7.5),
    Row("GPU_MODEL", "T4", registered(probe.devices), ANY, [("gpu", "T4", "0", {"memory_gb": 0})]),
    Row(
        "GPU_VRAM_GB",
        "16",
        registered(probe.devices),
        [("gpu", "T4", "0", {"memory_gb": 0})],
        [("gpu", "T4", "0", {"memory_gb": 16})],
        GPU,
    ),
    Row(
        "GPU_ID",
        "7",
        registered(probe.devices),
        [("gpu", "T4", "0", {"memory_gb": 0})],
        [("gpu", "T4", "7", {"memory_gb": 0})],
        GPU,
    ),
    Row("WORKER_DEVICES", '[{"type":"tpu"}]', registered(probe.devices), ANY, [("tpu", None, None, None)]),
    Row(
        "INSTALLED_SOFTWARE",
        '{"ffmpeg":"7"}',
        registered(lambda said: list(said.installed_software)),
        ["python"],
        ["ffmpeg"],
    ),
    Row(
        "INSTALLED_MODELS",
        '[{"name":"yolo","version":"8"}]',
        registered(lambda said: [(a.name, a.version, a.type) for a in said.installed_artifacts or ()]),
        [],
        [("yolo", "8", "model")],
    ),
    Row(
        "INSTALLED_ARTIFACTS",
        '[{"name":"corpus","type":"data"}]',
        registered(lambda said: [(a.name, a.version, a.type) for a in said.installed_artifacts or ()]),
        [],
        [("corpus", "unknown", "data")],
    ),
    Row(
        EXTRA.replace("*", "ZONE"),
        "eu",
        registered(lambda said: said.capabilities.extra.get("zone")),
        None,
        "eu",
    ),
    Row("HEARTBEAT_INTERVAL", "3", probe.next_heartbeat, 15.0, 3.0),
    Row("RESULT_MAX_RETRIES", "2", probe.tries_of_a_report, 6, 3),
    Row("RESULT_RETRY_INITIAL_DELAY", "4", probe.pause_of_a_report, 1.0, 4.0),
    Row(
        "REGISTRATION_RETRY_INITIAL_DELAY",
        "3",
        probe.pauses_of_registrations,
        polled(1, 2, 4, 8, 16, 32, 60, 60),
        polled(3, 6, 12, 24, 48, 60, 60, 60),
    ),
    Row(
        "REGISTRATION_RETRY_MAX_DELAY",
        "5",
        probe.pauses_of_registrations,
        polled(1, 2, 4, 8, 16, 32, 60, 60),
        polled(1, 2, 4, 5, 5, 5, 5, 5),
    ),
    Row("TASK_POLL_TIMEOUT", "7", probe.poll_timeout, 30.0, 7.0),
    Row(
        "TASK_POLL_ERROR_DELAY",
        "6",
        probe.pauses_of_polls,
        polled(1, 2, 4, 8, 16, 32, 60, 60),
        polled(6, 6, 6, 6, 6, 6, 6, 6),
    ),
    Row(
        "POLL_BACKOFF_INITIAL",
        "2",
        probe.pauses_of_polls,
        polled(1, 2, 4, 8, 16, 32, 60, 60),
        polled(2, 4, 8, 16, 32, 60, 60, 60),
    ),
    Row(
        "POLL_BACKOFF_MAX",
        "5",
        probe.pauses_of_polls,
        polled(1, 2, 4, 8, 16, 32, 60, 60),
        polled(1, 2, 4, 5, 5, 5, 5, 5),
    ),
    Row(
        "POLL_BACKOFF_FACTOR",
        "3",
        probe.pauses_of_polls,
        polled(1, 2, 4, 8, 16, 32, 60, 60),
        polled(1, 3, 9, 27, 60, 60, 60, 60),
    ),
    Row("RATE_LIMIT_BACKOFF_FLOOR", "9", probe.pause_after_too_many_calls, 30.0, 9.0),
    Row("IDLE_POLL_DELAY", "0.5", probe.pause_after_an_empty_poll, 0.01, 0.5),
    Row("TASK_FILES_DIR", "FOLDER/files", probe.folder_of_tasks, ANY, Path("FOLDER/files")),
    Row("S3_ENDPOINT_URL", "http://set.below", storage(bool), False, True),
    Row("S3_ACCESS_KEY", "AK", storage(lambda asked: "Credential=AK/" in asked[0][2]), False, True, S3),
    Row("S3_SECRET_KEY", "hush", probe.signature, False, True, S3),
    Row(
        "S3_REGION",
        "eu-north-1",
        storage(lambda asked: asked[0][2].split("/")[2]),
        "us-east-1",
        "eu-north-1",
        S3,
    ),
    Row(
        "S3_DEFAULT_BUCKET",
        "mine",
        storage(lambda asked: next(path for how, path, _ in asked if how == "PUT").split("/")[1]),
        "avtomatika-payloads",
        "mine",
        S3,
    ),
    Row("WORKER_BLOB_CACHE_DIR", "FOLDER/my-cache", probe.folders_of_caches, ["cache"], ["my-cache"], S3),
    Row("WORKER_BLOB_CACHE_MAX_GB", "0", probe.folders_of_caches, ["cache"], [], S3),
]

DEPARTURES = {
    "INSTALLED_SOFTWARE": "the version of the Python that runs, not of the one that the page was written for",
    "ORCHESTRATORS_CONFIG": "ORCHESTRATORS has what it says, or the one of ORCHESTRATOR_URL",
    "WORKER_ID": "a random one",
    "WORKER_TOKEN": "a token that everybody knows opens nothing",
    EXTRA: "any number of variables",
}


def published() -> list[tuple[str, str]]:
    """Name and default of every variable of every page."""
    lines = re.findall(r"^([A-Z0-9_*]+) = (.*)$", PUBLISHED.read_text("utf-8"), re.MULTILINE)
    assert len(lines) > 100
    return [(name, default) for name, default in lines]


def variables() -> set[str]:
    """What a WorkerConfig reads by name."""
    return {name for name, found in vars(WorkerConfig).items() if isinstance(found, Variable)}


def test_every_variable_of_the_pages_and_of_the_code_is_in_the_table() -> None:
    listed = {EXTRA if row.variable.startswith("WORKER_EXTRA_") else row.variable for row in TABLE}
    pages = {name for name, _ in published()}
    assert pages - listed == set()
    assert variables() - listed == set()
    assert listed - variables() - {"ORCHESTRATORS_CONFIG", EXTRA} == set()
    assert len(TABLE) == len(listed)


@pytest.mark.parametrize(("name", "default"), sorted(set(published())))
def test_the_default_is_that_of_the_page(name: str, default: str) -> None:
    if name in DEPARTURES:
        return
    value: Any = getattr(WorkerConfig({}), name)
    said = {"-": "None"}.get(default, default)
    if said == "None" and value is not None:
        return  # the page says nothing of it, another one does
    if isinstance(value, bool):
        assert str(value).lower() == said.lower()
    elif isinstance(value, int | float):
        assert value == float(said)
    elif isinstance(value, list | dict):
        assert said in ("None", encoded(value))
    else:
        assert str(value) == said


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a certificate in it; nothing of the environment that leads to the outside."""
    issued = trustme.CA().issue_cert("worker.test")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    # Where the exporter is installed, a provider would be set for the whole process.
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    for name in tuple(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    return tmp_path


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.variable)
async def test_a_variable_makes_the_difference_that_it_is_for(row: Row, folder: Path) -> None:
    from aiohttp.test_utils import unused_port

    port = str(unused_port())

    def filled(text: str) -> str:
        return text.replace("FOLDER", str(folder)).replace("FREE", port)

    besides = {name: filled(value) for name, value in row.besides.items()}
    before = await _seen(row, Stage(besides, folder / "before"))
    assert row.before in (ANY, before)
    then = await _seen(row, Stage({**besides, row.variable: filled(row.value)}, folder))
    expected = row.then
    if isinstance(expected, Path):
        expected = Path(filled(str(expected)))
    elif expected == "FREE":
        expected = int(port)
    assert then == expected
    assert before != then


async def _seen(row: Row, stage: Stage) -> Any:
    stage.folder.mkdir(exist_ok=True)
    found = row.seen(stage)
    return await found if inspect.isawaitable(found) else found
