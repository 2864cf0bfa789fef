"""A worker with the limits of the page: 10 tasks, of which 1 works on a video and 4 on audio.

Its tasks last until an operator lets them go on; each returns how many ran when most did.
"""

import asyncio
from collections import Counter
from typing import Any

from avtomatika_worker import Command, Worker

worker = Worker(
    worker_type="media-processor",
    max_concurrent_tasks=10,
    task_type_limits={"video_processing": 1, "audio_processing": 4},
)
running: Counter[str] = Counter()
most: Counter[str] = Counter()
go_on = asyncio.Event()


async def work(kind: str) -> dict[str, Any]:
    running[kind] += 1
    running["all"] += 1
    print(f"began {kind}")
    for each, number in running.items():
        most[each] = max(most[each], number)
    try:
        await go_on.wait()
        await asyncio.sleep(0.01)
    finally:
        running[kind] -= 1
        running["all"] -= 1
    return {"status": "success", "data": dict(most)}


@worker.task("upscale_video", task_type="video_processing")
async def upscale_video(params: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    return await work("video")


@worker.task("blur_video_faces", task_type="video_processing")
async def blur_video_faces(params: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    return await work("video")


@worker.task("transcribe_audio", task_type="audio_processing")
async def transcribe_audio(params: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    return await work("audio")


@worker.task("generate_report")
async def generate_report(params: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    return await work("report")


@worker.on_command("go_on")
async def let_go_on(command: Command) -> None:
    go_on.set()


if __name__ == "__main__":
    worker.run_with_health_check()
