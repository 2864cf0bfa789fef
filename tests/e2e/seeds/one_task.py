"""An orchestrator for the workers of the pages: each job is one task, and says where its end leads."""

from typing import Any

from avtomatika import ActionFactory, Blueprint, OrchestratorEngine
from avtomatika.storage import MemoryStorage

one = Blueprint("one", api_version="v1", api_endpoint="/jobs/one")


@one.handler(is_start=True)
async def start(initial_data: dict[str, Any], actions: ActionFactory) -> None:
    actions.dispatch_task(
        task_type=initial_data["skill"],
        params=initial_data["params"],
        transitions=initial_data["transitions"],
        priority=initial_data["task_priority"],
    )


@one.handler(is_end=True)
async def done(state_history: dict[str, Any]) -> dict[str, Any]:
    return state_history


@one.handler(is_end=True)
async def reviewed(reason: str) -> str:
    return f"a person looked at it, because of: {reason}"


@one.handler(is_end=True)
async def given_up() -> str:
    return "it went another way"


if __name__ == "__main__":
    engine = OrchestratorEngine(MemoryStorage())
    engine.register_blueprint(one)
    engine.run()
