"""The schema of the table, step by step, as scripts of each database."""

from importlib import resources
from typing import Final

SCHEMA: Final = 1
"""The latest step that this release knows."""

COLUMNS: Final = (
    "job_id, version, at, client, blueprint, state, status, event_type, worker_id, task_id, attempt, data"
)


def statements(database: str, done: int) -> list[str]:
    """What brings a table of *database* that has the schema *done*, 0 for none, up to date."""
    folder = resources.files("avtomatika.records")
    steps = (folder.joinpath(f"{database}_{step}.sql").read_text() for step in range(done + 1, SCHEMA + 1))
    return [statement for text in steps for statement in text.split(";\n") if statement.strip()]


def too_new(found: int) -> str:
    """What to say of a table that a later release has brought up to date."""
    return f"The history has schema {found}; this release knows up to {SCHEMA}."
