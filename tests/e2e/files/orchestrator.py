"""The orchestrator that is killed while it removes files: jobs that end, and jobs that wait."""

from typing import Any

from avtomatika import ActionFactory, Blueprint, OrchestratorEngine
from avtomatika.commands import job_files
from avtomatika.kernel.time import Span

job_files.LOOK_AGAIN = job_files.LATE = Span(200)  # type: ignore[misc]  # nobody waits for a minute here

files = Blueprint("files", api_version="v1", api_endpoint="/jobs/files", version="1")


@files.handler(is_start=True)
async def write(waits: bool, task_files: Any, actions: ActionFactory) -> None:
    for name in ("a.json", "deep/b.json", "deep/er/c.json", "d.json"):
        await task_files.write_json(name, name)
    if waits:
        actions.wait_for_event("go", {"success": "finished"})
    else:
        actions.go_to("finished")


if __name__ == "__main__":
    engine = OrchestratorEngine()
    engine.register_blueprint(files)
    engine.run()
