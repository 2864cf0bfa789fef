"""An orchestrator in the words of the page of 1.0b4, with two blueprints more that need workers."""

import asyncio
from typing import Any

from avtomatika import OrchestratorEngine, StateMachineBlueprint
from avtomatika.config import Config
from avtomatika.context import ActionFactory
from avtomatika.storage import MemoryStorage

config = Config()
config.CLIENT_TOKEN = "a-client-token-of-the-seeds"
config.GLOBAL_WORKER_TOKEN = "a-worker-token-of-the-seeds"

first = StateMachineBlueprint(name="first", api_version="v1", api_endpoint="/jobs/first")
pictures = StateMachineBlueprint(name="pictures", api_version="v1", api_endpoint="/jobs/pictures")
greetings = StateMachineBlueprint(name="greetings", api_version="v1", api_endpoint="/jobs/greetings")


@first.handler_for("start", is_start=True)
async def begin(job_id: str, initial_data: dict[str, Any], actions: ActionFactory) -> None:
    print(f"{job_id} begins with {initial_data}")
    actions.transition_to("end")


@first.handler_for("end", is_end=True)
async def finish(context: Any) -> None:
    print(f"{context.job_id} is over")


@pictures.handler_for("start", is_start=True)
async def resize(initial_data: dict[str, Any], actions: ActionFactory) -> None:
    actions.dispatch_task(
        task_type="resize_image",
        params={"filename": initial_data.get("filename")},
        transitions={"success": "publish", "failure": "failed"},
    )


@pictures.handler_for("publish", is_end=True)
async def publish(resized_path: str) -> dict[str, str]:
    return {"published": resized_path}


@greetings.handler_for("start", is_start=True)
async def greet(initial_data: dict[str, Any], actions: ActionFactory) -> None:
    actions.dispatch_parallel(
        tasks=[{"task_type": "hello_world", "params": {"name": name}} for name in initial_data["names"]],
        aggregate_into="collect",
    )


@greetings.aggregator_for("collect")
async def collect(aggregation_results: Any, state_history: dict[str, Any], actions: ActionFactory) -> None:
    state_history["summary"] = [result.get("data") for result in aggregation_results.values()]
    actions.transition_to("end")


@greetings.handler_for("end", is_end=True)
async def all_greeted(context: Any) -> Any:
    return context.state_history["summary"]


engine = OrchestratorEngine(MemoryStorage(), config)
for blueprint in (first, pictures, greetings):
    engine.register_blueprint(blueprint)


async def main() -> None:
    await engine.start()
    try:
        await asyncio.Event().wait()
    finally:
        await engine.stop()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print("stopping")
