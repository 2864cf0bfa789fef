"""What a handler can know of its job."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from avtomatika.blueprints.actions import ActionFactory
from avtomatika.blueprints.client import ClientConfig
from avtomatika.blueprints.data_stores import DataStores
from avtomatika.blueprints.task_files import TaskFiles


@dataclass
class JobContext:
    """The job as its handler sees it. Changes to `state_history` and `initial_data` are kept."""

    job_id: str
    current_state: str
    initial_data: dict[str, Any]
    state_history: dict[str, Any]
    actions: ActionFactory
    client: ClientConfig
    data_stores: DataStores
    aggregation_results: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    tracing_context: Mapping[str, str] = field(default_factory=dict[str, str])
    webhook_url: str | None = None
    task_files: TaskFiles | None = None
