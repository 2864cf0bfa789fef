"""The worker of the benchmark: one skill that does nothing but answer."""

from avtomatika_worker import Worker

worker = Worker(worker_type="bench")


@worker.skill("noop")
async def noop(params: dict[str, int]) -> dict[str, int]:
    return {"n": params["n"] + 1}


if __name__ == "__main__":
    worker.run()
