"""The processes that the generations work for."""

from typing import Any

from avtomatika import ActionFactory, Blueprint


def single(**options: Any) -> Blueprint:
    """One task of the skill that the input names, and an end for every outcome."""
    blueprint = Blueprint("single", api_version="v1", api_endpoint="/jobs/single", version="1")
    transitions = {"success": "done", "review": "reviewed", "failure": "rescued", "cancelled": "gone"}

    @blueprint.handler(is_start=True)
    async def start(initial_data: dict[str, Any], actions: ActionFactory) -> None:
        actions.dispatch_task(initial_data["skill"], initial_data["params"], transitions, **options)

    @blueprint.handler(is_end=True)
    async def done() -> None:
        return None

    @blueprint.handler(is_end=True)
    async def reviewed() -> str:
        return "reviewed"

    @blueprint.handler(is_end=True, outcome="finished")
    async def rescued(state_history: dict[str, Any]) -> str:
        return "rescued"

    @blueprint.handler(is_end=True)
    async def gone() -> str:
        return "gone"

    return blueprint


def strict(**options: Any) -> Blueprint:
    """The same with one transition only: everything but success ends the job by its code."""
    blueprint = Blueprint("strict", api_version="v1", api_endpoint="/jobs/strict", version="1")

    @blueprint.handler(is_start=True)
    async def start(initial_data: dict[str, Any], actions: ActionFactory) -> None:
        actions.dispatch_task(initial_data["skill"], {}, {"success": "done"}, **options)

    @blueprint.handler(is_end=True)
    async def done() -> None:
        return None

    return blueprint


def parallel() -> Blueprint:
    """A branch for each of the skills that the input names; the data of all, in order, is the result."""
    blueprint = Blueprint("parallel", api_version="v1", api_endpoint="/jobs/parallel", version="1")

    @blueprint.handler(is_start=True)
    async def start(skills: list[str], actions: ActionFactory) -> None:
        tasks = [{"type": skill, "params": {"n": n}} for n, skill in enumerate(skills)]
        actions.dispatch_parallel(tasks, "gather")

    @blueprint.aggregator
    async def gather(
        aggregation_results: dict[str, Any], state_history: dict[str, Any], actions: ActionFactory
    ) -> None:
        state_history["result"] = [result["data"] for result in aggregation_results.values()]
        actions.go_to("done")

    @blueprint.handler(is_end=True)
    async def done() -> None:
        return None

    return blueprint
