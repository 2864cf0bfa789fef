"""The worker that this deployment runs. Put your own in its place."""

from avtomatika_worker import Worker

worker = Worker()


@worker.skill
def count_words(text: str) -> dict[str, int]:
    return {"words": len(text.split())}
