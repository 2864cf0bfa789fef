"""Jobs of one step. The handler behind it ends its process when the job says so."""

import os

from avtomatika import ActionFactory, Blueprint, OrchestratorEngine

flow = Blueprint("flow", api_version="v1", api_endpoint="/jobs/flow", version="1")


@flow.handler(is_start=True)
async def start(actions: ActionFactory) -> None:
    actions.dispatch_task("step", {}, {"success": "deadly"})


@flow.handler(is_end=True)
async def deadly(kills: bool) -> str:
    if kills:
        os._exit(9)
    return "alive"


if __name__ == "__main__":
    engine = OrchestratorEngine()
    engine.register_blueprint(flow)
    engine.run()
