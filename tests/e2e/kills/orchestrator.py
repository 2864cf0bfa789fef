"""The orchestrator that is killed: jobs of three steps, and fan-outs of ten branches."""

from typing import Any

from avtomatika import ActionFactory, Blueprint, OrchestratorEngine

steps = Blueprint("steps", api_version="v1", api_endpoint="/jobs/steps", version="1")
fan = Blueprint("fan", api_version="v1", api_endpoint="/jobs/fan", version="1")


def applied(state_history: dict[str, Any], step: str) -> None:
    """The result of a step has reached the job once more than before."""
    counts = state_history.setdefault("applied", {})
    counts[step] = counts.get(step, 0) + 1


@steps.handler(is_start=True)
async def first(n: int, actions: ActionFactory) -> None:
    actions.dispatch_task("step", {"job": n, "step": 1, "value": 0}, {"success": "second"})


@steps.handler
async def second(n: int, value: int, state_history: dict[str, Any], actions: ActionFactory) -> None:
    applied(state_history, "1")
    actions.dispatch_task("step", {"job": n, "step": 2, "value": value}, {"success": "third"})


@steps.handler
async def third(n: int, value: int, state_history: dict[str, Any], actions: ActionFactory) -> None:
    applied(state_history, "2")
    actions.dispatch_task("step", {"job": n, "step": 3, "value": value}, {"success": "done"})


@steps.handler(is_end=True)
async def done(value: int, state_history: dict[str, Any]) -> dict[str, Any]:
    applied(state_history, "3")
    return {"value": value, "applied": state_history["applied"]}


@fan.handler(is_start=True)
async def spread(n: int, actions: ActionFactory) -> None:
    tasks = [{"type": "step", "params": {"job": f"f{n}", "step": i, "value": i}} for i in range(10)]
    actions.dispatch_parallel(tasks, aggregate_into="gather")


@fan.aggregator
async def gather(
    aggregation_results: dict[str, Any], state_history: dict[str, Any], actions: ActionFactory
) -> None:
    applied(state_history, "gather")
    state_history["values"] = [result["data"]["value"] for result in aggregation_results.values()]
    actions.go_to("gathered")


@fan.handler(is_end=True)
async def gathered(values: list[int], state_history: dict[str, Any]) -> dict[str, Any]:
    return {"values": values, "applied": state_history["applied"]}


if __name__ == "__main__":
    engine = OrchestratorEngine()
    engine.register_blueprint(steps)
    engine.register_blueprint(fan)
    engine.run()
