"""The orchestrator under fire: blueprints of every kind of job.

`CHAOS_CLOCK` names a file by which its clock is set, `CHAOS_PLANT` the faults that are planted in it.
"""

import os
from pathlib import Path
from typing import Any

from tests.chaos.clockwork import follow

if "CHAOS_CLOCK" in os.environ:
    follow(Path(os.environ["CHAOS_CLOCK"]))

from avtomatika import ActionFactory, Blueprint, OrchestratorEngine
from tests.chaos.programs.lifeline import die_with_parent
from tests.chaos.sums import FAILURES, WIDTH

DONE = {"success": "done"}


def blueprint(name: str) -> Blueprint:
    """A blueprint that clients reach under its name."""
    return Blueprint(name, api_version="v1", api_endpoint=f"/jobs/{name}", version="1")


def simple(name: str, skill: str, retry: int) -> Blueprint:
    """One task, whose value is the result."""
    made = blueprint(name)

    @made.handler(is_start=True)
    async def start(n: int, actions: ActionFactory) -> None:
        actions.dispatch_task(skill, {"n": n, "step": 1, "before": 0}, DONE, retry=retry)

    @made.handler(is_end=True)
    async def done(value: int) -> dict[str, int]:
        return {"value": value}

    return made


chain = blueprint("chain")


def applied(state_history: dict[str, Any], step: int) -> None:
    """It is on record that the result of a step has reached the job."""
    state_history["applied"] = [*state_history.get("applied", []), step]


@chain.handler(is_start=True)
async def first(n: int, actions: ActionFactory) -> None:
    actions.dispatch_task("step", {"n": n, "step": 1, "before": 0}, {"success": "second"})


@chain.handler
async def second(n: int, value: int, state_history: dict[str, Any], actions: ActionFactory) -> None:
    applied(state_history, 1)
    actions.dispatch_task("step", {"n": n, "step": 2, "before": value}, {"success": "third"})


@chain.handler
async def third(n: int, value: int, state_history: dict[str, Any], actions: ActionFactory) -> None:
    applied(state_history, 2)
    actions.dispatch_task("step", {"n": n, "step": 3, "before": value}, DONE)


@chain.handler(is_end=True)
async def done(value: int, state_history: dict[str, Any]) -> dict[str, Any]:
    applied(state_history, 3)
    return {"value": value, "applied": state_history["applied"]}


fan = blueprint("fan")


@fan.handler(is_start=True)
async def spread(n: int, actions: ActionFactory) -> None:
    tasks = [{"type": "step", "params": {"n": n, "step": i, "before": 0}} for i in range(WIDTH)]
    actions.dispatch_parallel(tasks, aggregate_into="gather")


@fan.aggregator
async def gather(
    aggregation_results: dict[str, Any], state_history: dict[str, Any], actions: ActionFactory
) -> None:
    state_history["applied"] = state_history.get("applied", 0) + 1
    state_history["values"] = [result["data"]["value"] for result in aggregation_results.values()]
    actions.go_to("gathered")


@fan.handler(is_end=True)
async def gathered(state_history: dict[str, Any]) -> dict[str, Any]:
    return {"values": state_history["values"], "applied": state_history["applied"]}


parent = blueprint("parent")


@parent.handler(is_start=True)
async def delegate(n: int, actions: ActionFactory) -> None:
    actions.run_blueprint("one", {"n": n}, {"success": "delegated"})


@parent.handler(is_end=True)
async def delegated(state_history: dict[str, Any]) -> dict[str, Any]:
    (result,) = (held for name, held in state_history.items() if name.startswith("sub_job_"))
    return {"value": result["result"]["value"]}


nap = blueprint("nap")


@nap.handler(is_start=True)
async def doze(n: int, actions: ActionFactory) -> None:
    actions.sleep(0.3 + (n % 10) / 5, then="awake")


@nap.handler(is_end=True)
async def awake(n: int) -> dict[str, int]:
    return {"n": n}


approval = blueprint("approval")


@approval.handler(is_start=True)
async def ask(actions: ActionFactory) -> None:
    actions.await_human_approval("people", "Is it all right?", {"yes": "allowed"})


@approval.handler(is_end=True)
async def allowed(word: int) -> dict[str, int]:
    return {"word": word}


event = blueprint("event")


@event.handler(is_start=True)
async def listen(actions: ActionFactory) -> None:
    actions.wait_for_event("go", "told")


@event.handler(is_end=True)
async def told(word: int) -> dict[str, int]:
    return {"word": word}


beat = Blueprint("beat", version="1")


@beat.handler(is_start=True, is_end=True)
async def tick() -> str:
    return "tick"


if __name__ == "__main__":
    die_with_parent()
    if planted := os.environ.get("CHAOS_PLANT"):
        from tests.chaos.planted import plant

        plant(planted)
    engine = OrchestratorEngine()
    tasks = (simple(name, skill, 3) for name, skill in (("one", "step"), ("race", "step"), ("slow", "slow")))
    for each in (*tasks, simple("flaky", "flaky", FAILURES + 1), simple("doomed", "doomed", 0)):
        engine.register_blueprint(each)
    for each in (chain, fan, parent, nap, approval, event, beat):
        engine.register_blueprint(each)
    engine.run()
