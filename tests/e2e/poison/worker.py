"""A worker that knows both orchestrators, and sends each result until somebody has taken it."""

from avtomatika_worker import Worker

worker = Worker(worker_type="poison")


@worker.skill("step")
async def step() -> dict[str, int]:
    return {}


if __name__ == "__main__":
    worker.run()
