"""The processes that the tests run."""

from typing import Any

from avtomatika import ActionFactory, Blueprint


def flow(**options: Any) -> Blueprint:
    """One task with the input as its params; its data is the result. `options` are those of the task."""
    blueprint = Blueprint("flow", api_version="v1", api_endpoint="/jobs/flow", version="1")
    transitions = options.pop("transitions", {"success": "done", "review": "reviewed"})

    @blueprint.handler(is_start=True)
    async def start(initial_data: dict[str, Any], actions: ActionFactory) -> None:
        actions.dispatch_task("work", initial_data, transitions, **options)

    @blueprint.handler(is_end=True)
    async def done() -> None:
        return None

    @blueprint.handler(is_end=True)
    async def reviewed() -> str:
        return "reviewed"

    @blueprint.handler(is_end=True, outcome="finished")
    async def rescued() -> str:
        return "rescued"

    return blueprint


def straight() -> Blueprint:
    """No worker: the input is the result."""
    blueprint = Blueprint("straight", api_version="v1", api_endpoint="/jobs/straight", version="1")

    @blueprint.handler(is_start=True, is_end=True)
    async def start(initial_data: dict[str, Any]) -> dict[str, Any]:
        return initial_data

    return blueprint


def fan(**options: Any) -> Blueprint:
    """One branch for each item of the input's `items`; their data, in order, is the result."""
    blueprint = Blueprint("fan", api_version="v1", api_endpoint="/jobs/fan", version="1")

    @blueprint.handler(is_start=True)
    async def start(items: list[Any], actions: ActionFactory) -> None:
        tasks = [{"type": "work", "params": {"item": item}} for item in items]
        actions.dispatch_parallel(tasks, "gather", **options)

    @blueprint.aggregator
    async def gather(
        aggregation_results: dict[str, Any], state_history: dict[str, Any], actions: ActionFactory
    ) -> None:
        state_history["statuses"] = [result["status"] for result in aggregation_results.values()]
        state_history["result"] = [result["data"] for result in aggregation_results.values()]
        actions.go_to("done")

    @blueprint.handler(is_end=True)
    async def done() -> None:
        return None

    @blueprint.handler(is_end=True)
    async def rescued() -> str:
        return "rescued"

    return blueprint
