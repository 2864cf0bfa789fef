"""A worker in the words of the page of 1.0b2, configured by the program itself."""

import asyncio
import os
from typing import Any

from avtomatika_worker import Worker
from avtomatika_worker.config import WorkerConfig

my_config = WorkerConfig()
my_config.WORKER_ID = "image-processor-1-programmatic"
my_config.ORCHESTRATOR_URL = os.environ["WHERE_IT_IS"]
my_config.WORKER_TOKEN = "a-worker-token-of-the-seeds"
worker = Worker(worker_type="image-processing", config=my_config)


@worker.task("resize_image")
async def image_resizer(params: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    print(f"{kwargs.get('task_id')} of {kwargs.get('job_id')}: {params}")
    await asyncio.sleep(0.05)
    return {"status": "success", "data": {"resized_path": f"small/{params.get('filename')}"}}


if __name__ == "__main__":
    worker.run_with_health_check()
