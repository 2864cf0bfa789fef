"""Every setting with its default and its meaning."""

from collections.abc import Iterator, Mapping

from avtomatika.config import VARIABLES
from avtomatika_worker.config import WorkerConfig
from avtomatika_worker.environment import Variable
from generators.descriptions import OF_THE_ORCHESTRATOR, OF_THE_WORKER
from generators.markdown import NOTE, code, table

DEFAULTS_IN_WORDS = {
    "INSTANCE_ID": "`local`; where nodes share a store, the names of host and process",
    "STORAGE_URL": "`sqlite:///` and `avtomatika.db` in the data directory",
    "CLIENT_TOKEN": "made by the first run",
    "GLOBAL_WORKER_TOKEN": "made by the first run",
    "OPERATOR_TOKEN": "made by the first run",
    "APPROVAL_SECRET": "made by the first run",
    "PUBLIC_URL": "`http://`, the address and the port that the node listens on",
    "WEBHOOK_SECRET": "made by the first run",
    "WORKER_ID": "`worker-` and a random UUID",
    "WORKER_SPOOL_DIR": "`avtomatika-worker` in `$XDG_STATE_HOME`, else in `~/.local/state`",
    "INSTALLED_SOFTWARE": "the version of Python",
    "CPU_CORES": "what is found, else `4`",
    "RAM_GB": "what is found",
    "GPU_MODEL": "what is found",
    "WORKER_DEVICES": "what is found",
    "WORKER_ENABLE_WEBSOCKETS": "as `WORKER_TRANSPORT` says",
}


def page() -> str:
    """The page as Markdown."""
    return f"""# Settings

{NOTE}

Environment variables. An empty one counts as not set. Truth values are `true` and `false`; times are in
seconds unless the name says otherwise.

## Orchestrator

Read when `Config()` is made; the attributes of a `Config` have the same names and can be assigned until the
engine is started. Everything that is wrong is reported at once, and the node does not start.

{table(("Variable", "Default", "Meaning"), _rows(VARIABLES, OF_THE_ORCHESTRATOR))}

## Worker

Read when `WorkerConfig()` is made, which a `Worker` does unless it is given one; assignable until the worker
starts.

{table(("Variable", "Default", "Meaning"), _rows(worker_variables(), OF_THE_WORKER))}
"""


def worker_variables() -> dict[str, str]:
    """The variables of the worker with their defaults, as text."""
    config = WorkerConfig({})
    found = {
        name: _text(getattr(config, name))
        for name, variable in vars(WorkerConfig).items()
        if isinstance(variable, Variable)
    }
    # Read from the environment besides those that are attributes of the same name.
    return found | {"ORCHESTRATORS_CONFIG": "", "WORKER_EXTRA_…": ""}


def _rows(variables: Mapping[str, str], meanings: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for name in sorted(variables):
        default = DEFAULTS_IN_WORDS.get(name) or code(variables[name]) or "none"
        yield code(name), default, meanings[name]


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return "[]" if value == [] else "{}" if value == {} else str(value)
