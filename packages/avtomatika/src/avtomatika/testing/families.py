"""The blueprints of a simulated world that lean on others: they run children, and ask people."""

from collections.abc import Sequence
from typing import Any, Final

from avtomatika.blueprints.actions import ActionFactory
from avtomatika.blueprints.blueprint import Blueprint
from avtomatika.testing.mishaps import Mishaps

ALL_WAYS: Final = {"success": "second", "failure": "second", "cancelled": "second", "timeout": "second"}
DECISIONS: Final = ("yes", "no")
NOT_OFFERED: Final = ("maybe", "timeout", "success")


def family(name: str, mishaps: Mishaps, others: Sequence[str]) -> Blueprint:
    """Runs one child after the other; of which blueprint, and how patiently, follows from `width`.

    Some have a child of their own kind, and some of those nest until that is forbidden.
    """
    blueprint = Blueprint(name)

    def _child_of(width: int, place: int) -> str:
        kinds = [other for other in others if other != name]
        return name if width % 5 and place == 0 else kinds[(width + place) % len(kinds)]

    @blueprint.handler(is_start=True)
    async def first(actions: ActionFactory, width: int) -> None:
        """Starts a child."""
        await mishaps.happen()
        limit = 4 if width % 3 == 0 else None
        after = ALL_WAYS if width % 2 else {"success": "second", "timeout": "second"}
        actions.run_blueprint(_child_of(width, 0), {"width": width + 3}, after, timeout_seconds=limit)

    @blueprint.handler
    async def second(actions: ActionFactory, width: int, state_history: dict[str, Any]) -> None:
        """Starts another one, if the first has left its result."""
        await mishaps.happen()
        if not any(key.startswith("sub_job_") for key in state_history) and width % 3:
            raise ValueError("the child has left nothing")
        after = {"success": "finished", "failure": "failed"} if width % 2 else {}
        actions.run_blueprint(_child_of(width, 1), {"width": width + 1}, after, result_timeout=6)

    return blueprint


def asking(name: str, mishaps: Mishaps, others: Sequence[str]) -> Blueprint:
    """Asks twice: once for as long as it takes, once not, in an order that follows from `width`."""
    blueprint = Blueprint(name)

    @blueprint.handler(is_start=True)
    async def ask(actions: ActionFactory, width: int) -> None:
        """Asks, in some jobs only for a while."""
        await mishaps.happen()
        limit = 2.5 if width % 2 else None
        after = {"yes": "again", "no": "failed", "timeout": "again"}
        actions.await_human_approval("mail", "Shall it go on?", after, timeout=limit)

    @blueprint.handler
    async def again(actions: ActionFactory, width: int, state_history: dict[str, Any]) -> None:
        """Asks to be sure, with a schema for what is said."""
        await mishaps.happen()
        if width % 2 == 0 and state_history["approval"]["decision"] != "yes":
            raise ValueError("nobody said yes")
        limit = None if width % 2 else 2.5
        after = {"yes": "finished", "no": "again"}
        actions.await_human_approval("chat", "Sure?", after, limit, {"type": "object"})

    return blueprint
