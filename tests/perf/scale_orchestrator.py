"""An orchestrator of the benchmarks of scale: it counts its calls of the store, and tells at `/calls`.

`STORAGE_URL` and the rest of the environment say what it is. Beside the blueprints of `bench.py` it has
`any`, whose one task is for the skill that its input names. `PROFILE` names a folder for its profile.
"""

import cProfile
import inspect
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from aiohttp import web

sys.path.insert(0, str(Path(__file__).parents[2]))

import avtomatika.app.node
from avtomatika import ActionFactory, Blueprint, OrchestratorEngine
from avtomatika.app.backends import Backend
from tests.perf.bench_orchestrator import one, three

anything = Blueprint("any", api_version="v1", api_endpoint="/jobs/any")
calls: Counter[str] = Counter()


@anything.handler(is_start=True)
async def ask(initial_data: dict[str, str], actions: ActionFactory) -> None:
    actions.dispatch_task(initial_data["skill"], params={}, transitions={"success": "end"})


@anything.handler("end", is_end=True)
async def end() -> None:
    return None


class Counted:
    """Something whose verbs are counted, under a name that begins with *prefix*."""

    def __init__(self, kept: Any, prefix: str = "") -> None:
        self._kept, self._prefix = kept, prefix

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._kept, name)
        if name == "shelf":
            found = Counted(found, "shelf.")
        elif inspect.iscoroutinefunction(found):
            found = _counted(found, self._prefix + name)
        elif not callable(found):
            return found  # it may be another one next time
        setattr(self, name, found)
        return found


def _counted(verb: Any, name: str) -> Any:
    def call(*args: Any, **named: Any) -> Any:
        calls[name] += 1
        return verb(*args, **named)

    return call


async def tell(_: web.Request) -> web.Response:
    """The calls so far, by verb."""
    return web.json_response(calls)


def main() -> None:
    opened = avtomatika.app.node.open_backend

    async def counting(*args: Any) -> Backend:
        backend: Any = await opened(*args)
        return type(backend)(Counted(backend.store), Counted(backend.registry, "registry."))

    avtomatika.app.node.open_backend = counting
    engine = OrchestratorEngine()
    for blueprint in (three, one, anything):
        engine.register_blueprint(blueprint)
    engine.app.router.add_get("/calls", tell)
    if "PROFILE" not in os.environ:
        engine.run()
        return
    with cProfile.Profile() as profile:
        engine.run()
    profile.dump_stats(Path(os.environ["PROFILE"]) / f"{os.environ['INSTANCE_ID']}.profile")


if __name__ == "__main__":
    main()
