"""Jobs of one task, which count how often its result has reached them."""

from typing import Any

from avtomatika import ActionFactory, Blueprint, OrchestratorEngine

one = Blueprint("one", api_version="v1", api_endpoint="/jobs/one", version="1")


@one.handler(is_start=True)
async def start(initial_data: dict[str, Any], actions: ActionFactory) -> None:
    actions.dispatch_task(initial_data.get("skill", "step"), dict(initial_data), {"success": "arrived"})


@one.handler
async def arrived(state_history: dict[str, Any], actions: ActionFactory) -> None:
    state_history["applied"] = state_history.get("applied", 0) + 1
    actions.go_to("done")


@one.handler(is_end=True)
async def done(by: str, state_history: dict[str, Any]) -> dict[str, Any]:
    return {"by": by, "applied": state_history["applied"]}


if __name__ == "__main__":
    engine = OrchestratorEngine()
    engine.register_blueprint(one)
    engine.run()
