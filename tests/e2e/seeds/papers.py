"""A worker that does with files what the pages show."""

from pathlib import Path
from typing import Any

from avtomatika_worker import TaskFiles, Worker

worker = Worker(worker_type="image-worker")


@worker.task("generate_report")
async def generate_report(params: dict[str, Any], files: TaskFiles, **kwargs: Any) -> dict[str, Any]:
    before = list(await files.list())
    await files.write("data.json", '{"status": "ok"}')
    content = await files.read("data.json")
    async with files.open("notes/log.txt", "w") as log:
        await log.write("one line")
    output_path = await files.path_to("report.pdf")
    found = {name: await files.exists(name) for name in ("data.json", "report.pdf", "input.jpg")}
    listed = list(await files.list())
    return {
        "data": {
            "report": output_path,
            "before": before,
            "content": content,
            "found": found,
            "listed": listed,
        }
    }


@worker.task("process_image")
async def process_image(params: dict[str, Any], files: TaskFiles, **kwargs: Any) -> dict[str, Any]:
    local_input = Path(params["input_image"])
    local_output = Path(await files.path_to("processed.png"))
    local_output.write_bytes(local_input.read_bytes().upper())
    data = {"output_image": str(local_output), "input_name": local_input.name}
    return {"status": "success", "data": data}


@worker.task("process_folder")
async def process_folder(params: dict[str, Any], files: TaskFiles, **kwargs: Any) -> dict[str, Any]:
    source, target = Path(params["inputs"]), Path(await files.path_to("processed"))
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes().upper())
    return {"status": "success", "data": {"outputs": str(target)}}


if __name__ == "__main__":
    worker.run_with_health_check()
