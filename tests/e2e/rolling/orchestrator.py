"""The program that is rolled out: jobs of two tasks. `PROGRAM=2` has a second version of its blueprint."""

import os
from typing import Any

from avtomatika import ActionFactory, Blueprint, OrchestratorEngine


def edition(version: str) -> Blueprint:
    """The blueprint in which every handler notes what version it is of."""
    rolled = Blueprint("rolled", api_version="v1", api_endpoint="/jobs/rolled", version=version)

    def ran(state_history: dict[str, Any], step: str) -> None:
        state_history.setdefault("ran", []).append([step, version])

    @rolled.handler(is_start=True)
    async def first(n: int, seconds: float, state_history: dict[str, Any], actions: ActionFactory) -> None:
        ran(state_history, "first")
        actions.dispatch_task("step", {"job": n, "step": 1, "seconds": seconds}, {"success": "second"})

    @rolled.handler
    async def second(n: int, state_history: dict[str, Any], actions: ActionFactory) -> None:
        ran(state_history, "second")
        actions.dispatch_task("step", {"job": n, "step": 2, "seconds": 0.0}, {"success": "done"})

    @rolled.handler(is_end=True)
    async def done(n: int, state_history: dict[str, Any]) -> dict[str, Any]:
        ran(state_history, "done")
        return {"n": n, "ran": state_history["ran"]}

    return rolled


if __name__ == "__main__":
    engine = OrchestratorEngine()
    for number in range(1, int(os.environ.get("PROGRAM", "1")) + 1):
        engine.register_blueprint(edition(str(number)))
    engine.run()
