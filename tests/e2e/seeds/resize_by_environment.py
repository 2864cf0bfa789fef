"""A worker in the words of the page of 1.0b2, told by the environment whom to work for."""

import asyncio
import logging
from typing import Any

from avtomatika_worker import Worker

logging.basicConfig(level=logging.INFO)
worker = Worker(worker_type="image-processing")


@worker.task("resize_image")
async def image_resizer(params: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    print(f"{kwargs.get('task_id')} of {kwargs.get('job_id')}: {params}")
    await asyncio.sleep(0.05)
    return {"status": "success", "data": {"resized_path": f"small/{params.get('filename')}"}}


if __name__ == "__main__":
    worker.run_with_health_check()
