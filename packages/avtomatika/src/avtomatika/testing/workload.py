"""The blueprints of a simulated world: each a small process that leans on another part of the rules."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from avtomatika.blueprints.actions import ActionFactory
from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.kernel.model import Policy
from avtomatika.kernel.time import Span
from avtomatika.testing.beats import BLUEPRINT
from avtomatika.testing.families import asking, family
from avtomatika.testing.mishaps import Kill, Mishaps
from avtomatika.testing.stage import Stage

SKILLS: Final = ("cut", "weld", "paint", "rare")
SIGNAL: Final = "go"
STATUSES: Final = ("approved", "rejected", "strange")

POLICY: Final = Policy(
    handler_retries=2,
    task_retries=2,
    max_deliveries=4,
    max_steps=15,
    max_depth=3,
    execution_timeout=Span(8_000),
    backoff_first=Span(200),
    backoff_most=Span(2_000),
)


def blueprints(stage: Stage, kill: Kill) -> Sequence[Blueprint]:
    """The blueprints that the options of the world name."""
    mishaps = Mishaps(stage, kill)
    names = stage.options.blueprints
    ticked = [_chain(BLUEPRINT, mishaps)] if stage.options.beat else []
    return [
        _RELATED[name](name, mishaps, names) if name in _RELATED else _MAKERS[name](name, mishaps)
        for name in names
    ] + ticked


def _chain(name: str, mishaps: Mishaps) -> Blueprint:
    blueprint = Blueprint(name)
    states = ("first", "second", "third", "fourth")
    for state, following in zip(states, (*states[1:], "finished"), strict=True):

        async def handler(
            actions: ActionFactory, state_history: dict[str, Any], current_state: str, _next: str = following
        ) -> None:
            await mishaps.happen()
            state_history[current_state] = len(state_history)
            actions.go_to(_next)

        blueprint.handler(state, is_start=state == "first")(handler)
    blueprint.handler("finished", is_end=True)(_end)
    return blueprint


async def _end() -> None:
    return None


def _steps(name: str, mishaps: Mishaps) -> Blueprint:
    blueprint = Blueprint(name)
    steps = (
        ("cutting", "cut", "welding"),
        ("welding", "weld", "painting"),
        ("painting", "paint", "finished"),
    )
    for state, skill, following in steps:

        async def handler(actions: ActionFactory, _skill: str = skill, _next: str = following) -> None:
            await mishaps.happen()
            actions.dispatch_task(_skill, {"step": _skill}, {"success": _next, "failure": "salvage"})

        blueprint.handler(state, is_start=state == "cutting")(handler)

    @blueprint.handler
    async def salvage(actions: ActionFactory) -> None:
        await mishaps.happen()
        actions.go_to("failed")

    return blueprint


def _statuses(name: str, mishaps: Mishaps) -> Blueprint:
    blueprint = Blueprint(name)

    @blueprint.handler(is_start=True)
    async def ask(actions: ActionFactory) -> None:
        await mishaps.happen()
        transitions = {"success": "finished", "approved": "again", "rejected": "failed", "cancelled": "again"}
        actions.dispatch_task("cut", {"statuses": True}, transitions, retry=1)

    @blueprint.handler
    async def again(actions: ActionFactory) -> None:
        await mishaps.happen()
        actions.dispatch_task("weld", {}, {"success": "finished", "approved": "finished"})

    return blueprint


def _limits(name: str, mishaps: Mishaps) -> Blueprint:
    blueprint = Blueprint(name)

    @blueprint.handler(is_start=True)
    async def scarce(actions: ActionFactory) -> None:
        await mishaps.happen()
        after = {"success": "long", "timeout": "long", "failure": "long"}
        actions.dispatch_task("rare", {}, after, dispatch_timeout_seconds=3, timeout_seconds=4)

    @blueprint.handler
    async def long(actions: ActionFactory) -> None:
        await mishaps.happen()
        after = {"success": "finished", "failure": "failed"}
        actions.dispatch_task(
            "paint",
            {},
            after,
            timeout_seconds=3,
            result_timeout_seconds=9,
            dispatch_timeout_seconds=20,
            retry=4,
        )

    return blueprint


def _fan(name: str, mishaps: Mishaps) -> Blueprint:
    blueprint = Blueprint(name)
    on_failure = "fail" if name == "fan_fail" else "collect"

    @blueprint.handler(is_start=True)
    async def spread(actions: ActionFactory, width: int) -> None:
        await mishaps.happen()
        tasks = [
            {"type": SKILLS[n % 3], "params": {"n": n}, "dispatch_timeout_seconds": 30} for n in range(width)
        ]
        transitions = {"failure": "salvage"} if width % 2 else {}
        actions.dispatch_parallel(tasks, "gather", on_failure, transitions)

    @blueprint.aggregator
    async def gather(actions: ActionFactory, aggregation_results: dict[str, Any]) -> int:
        await mishaps.happen()
        actions.go_to("finished")
        return len(aggregation_results)

    @blueprint.handler
    async def salvage(actions: ActionFactory) -> None:
        await mishaps.happen()
        actions.go_to("failed")

    return blueprint


def _nested(name: str, mishaps: Mishaps) -> Blueprint:
    blueprint = Blueprint(name)

    @blueprint.handler(is_start=True)
    async def spread(actions: ActionFactory) -> None:
        await mishaps.happen()
        actions.dispatch_parallel([{"type": "cut"}, {"type": "weld", "retry": 0}], "between", "collect")

    @blueprint.aggregator
    async def between(actions: ActionFactory, state_history: dict[str, Any]) -> None:
        await mishaps.happen()
        rounds = state_history.get("rounds", 0) + 1
        state_history["rounds"] = rounds
        if rounds == 1:
            actions.dispatch_parallel([], "between", "fail")
        elif rounds == 2:
            tasks = [{"type": "paint", "result_timeout_seconds": 12}, {"type": "cut", "priority": 5}]
            actions.dispatch_parallel(tasks, "between", "fail", {"failure": "finished"})
        else:
            actions.dispatch_task("weld", {}, {"success": "finished"})

    return blueprint


def _resting(name: str, mishaps: Mishaps) -> Blueprint:
    blueprint = Blueprint(name)

    @blueprint.handler(is_start=True)
    async def asleep(actions: ActionFactory, width: int) -> None:
        await mishaps.happen()
        actions.sleep(0.7 * (width % 4), "attentive")

    @blueprint.handler
    async def attentive(actions: ActionFactory, width: int) -> None:
        await mishaps.happen()
        after = {"success": "again", "timeout": "again"} if width % 2 else {"success": "again"}
        actions.wait_for_event(SIGNAL, after, timeout_seconds=4)

    @blueprint.handler
    async def again(actions: ActionFactory) -> None:
        await mishaps.happen()
        actions.wait_for_event(SIGNAL, {"success": "finished", "timeout": "finished"}, timeout_seconds=2)

    return blueprint


def _raising(name: str, mishaps: Mishaps) -> Blueprint:
    blueprint = Blueprint(name)

    @blueprint.handler(is_start=True)
    async def task(actions: ActionFactory) -> None:
        actions.dispatch_task("cut", {}, {"success": "trouble"})

    @blueprint.handler
    async def trouble(actions: ActionFactory, width: int) -> None:
        await mishaps.happen()
        if width % 2:
            raise ValueError("this handler never works")
        actions.go_to("finished")

    return blueprint


def _slow(name: str, mishaps: Mishaps) -> Blueprint:
    blueprint = Blueprint(name)

    @blueprint.handler(is_start=True)
    async def patience(actions: ActionFactory, width: int) -> None:
        await asyncio.sleep(0.04 * width)
        actions.dispatch_task("cut", {}, {"success": "more", "failure": "more"})

    @blueprint.handler
    async def more(actions: ActionFactory, width: int) -> None:
        await asyncio.sleep(0.5 * width)
        actions.go_to("most")

    @blueprint.handler
    async def most(actions: ActionFactory) -> None:
        await mishaps.happen()
        await asyncio.sleep(0)
        actions.go_to("finished")

    return blueprint


def _loop(name: str, mishaps: Mishaps) -> Blueprint:
    blueprint = Blueprint(name)

    @blueprint.handler(is_start=True)
    async def round_and_round(actions: ActionFactory) -> None:
        await mishaps.happen()
        actions.go_to("round_and_round")

    return blueprint


def _poison(name: str, mishaps: Mishaps) -> Blueprint:
    blueprint = Blueprint(name)

    @blueprint.handler(is_start=True)
    async def innocent(actions: ActionFactory, width: int) -> None:
        if width % 3 == 0:
            actions.go_to("poison")
        elif width % 3 == 1:
            actions.dispatch_task("cut", {}, {"success": "poison", "failure": "poison"})
        else:
            actions.dispatch_task("nobody", {}, {"timeout": "poison"}, dispatch_timeout_seconds=1)

    @blueprint.handler
    async def poison(actions: ActionFactory) -> None:
        await mishaps.die()

    return blueprint


_MAKERS: Final[dict[str, Callable[[str, Mishaps], Blueprint]]] = {
    "chain": _chain,
    "steps": _steps,
    "statuses": _statuses,
    "limits": _limits,
    "fan_fail": _fan,
    "fan_collect": _fan,
    "nested": _nested,
    "resting": _resting,
    "raising": _raising,
    "slow": _slow,
    "loop": _loop,
    "poison": _poison,
}
_RELATED: Final[dict[str, Callable[[str, Mishaps, Sequence[str]], Blueprint]]] = {
    "family": family,
    "asking": asking,
}
