"""The orchestrator that is killed: jobs of a few states, with a rest between them."""

from avtomatika import ActionFactory, Blueprint, OrchestratorEngine

walk = Blueprint("walk", api_version="v1", api_endpoint="/jobs/steps", version="1")


@walk.handler(is_start=True)
async def first(actions: ActionFactory) -> None:
    actions.sleep(0.05, "second")


@walk.handler
async def second(actions: ActionFactory) -> None:
    actions.go_to("third")


@walk.handler
async def third(actions: ActionFactory) -> None:
    actions.sleep(0.05, "done")


@walk.handler(is_end=True)
async def done(n: int) -> int:
    return n


if __name__ == "__main__":
    engine = OrchestratorEngine()
    engine.register_blueprint(walk)
    engine.run()
