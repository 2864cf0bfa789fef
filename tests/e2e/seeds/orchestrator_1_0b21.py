"""An orchestrator in the words of the page of 1.0b21, with two blueprints more that need workers."""

import asyncio
from typing import Any

from avtomatika import Blueprint, OrchestratorEngine
from avtomatika.config import Config
from avtomatika.context import ActionFactory
from avtomatika.storage import MemoryStorage

config = Config()
config.CLIENT_TOKEN = "a-client-token-of-the-seeds"
config.GLOBAL_WORKER_TOKEN = "a-worker-token-of-the-seeds"

first = Blueprint(name="first", api_version="v1", api_endpoint="/jobs/first")
pictures = Blueprint(name="pictures", api_version="v1", api_endpoint="/jobs/pictures")
greetings = Blueprint("greetings", "/jobs/greetings", "v1")


@first.handler(is_start=True)
async def start(job_id: str, initial_data: dict[str, Any], actions: ActionFactory) -> None:
    print(f"{job_id} begins with {initial_data}")
    actions.go_to("end")


@first.handler(is_end=True)
async def end(context: Any) -> None:
    print(f"{context.job_id} is over")


@pictures.handler(is_start=True)
async def resize(context: Any) -> None:
    context.actions.dispatch_task(
        task_type="resize_image",
        params={"filename": context.initial_data.get("filename")},
        transitions={"success": "publish", "failure": "failed"},
    )


@pictures.handler("publish", is_end=True)
async def publish_picture(resized_path: str) -> dict[str, str]:
    return {"published": resized_path}


@greetings.handler(is_start=True)
async def greet(initial_data: dict[str, Any], actions: ActionFactory) -> None:
    tasks = [{"task_type": "hello_world", "params": {"name": name}} for name in initial_data["names"]]
    actions.dispatch_parallel(tasks=tasks, aggregate_into="collect")


@greetings.aggregator
async def collect(aggregation_results: Any, state_history: dict[str, Any], actions: ActionFactory) -> None:
    state_history["summary"] = [result.get("data") for result in aggregation_results.values()]
    actions.go_to("greeted")


@greetings.handler(is_end=True)
async def greeted(context: Any) -> Any:
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
