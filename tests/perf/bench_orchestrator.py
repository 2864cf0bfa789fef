"""The orchestrator of the benchmark: an embedded store, two blueprints. `--profile FILE` profiles it."""

import cProfile
import sys

from avtomatika import ActionFactory, Blueprint, OrchestratorEngine

three = Blueprint("three", api_version="v1", api_endpoint="/jobs/three")
one = Blueprint("one", api_version="v1", api_endpoint="/jobs/one")


@three.handler(is_start=True)
async def first(initial_data: dict[str, int], actions: ActionFactory) -> None:
    actions.dispatch_task("noop", params={"n": initial_data["n"]}, transitions={"success": "second"})


@three.handler
async def second(n: int, actions: ActionFactory) -> None:
    actions.dispatch_task("noop", params={"n": n}, transitions={"success": "third"})


@three.handler
async def third(n: int, actions: ActionFactory) -> None:
    actions.dispatch_task("noop", params={"n": n}, transitions={"success": "end"})


@one.handler(is_start=True)
async def only(initial_data: dict[str, int], actions: ActionFactory) -> None:
    actions.dispatch_task("noop", params={"n": initial_data["n"]}, transitions={"success": "end"})


@one.handler("end", is_end=True)
@three.handler("end", is_end=True)
async def end(n: int) -> dict[str, int]:
    return {"n": n}


def main() -> None:
    engine = OrchestratorEngine()
    engine.register_blueprint(three)
    engine.register_blueprint(one)
    if len(sys.argv) == 3 and sys.argv[1] == "--profile":
        with cProfile.Profile() as profile:
            engine.run()
        profile.dump_stats(sys.argv[2])
    else:
        engine.run()


if __name__ == "__main__":
    main()
