"""Words are counted in many texts at once. A text that cannot be read is a result like any other."""

import asyncio

from avtomatika import ActionFactory, Blueprint
from avtomatika_worker import Worker
from avtomatika_worker.types import InvalidInputError
from embedded import Json, serving

survey = Blueprint("survey", api_version="v1", api_endpoint="/survey")


@survey.handler(is_start=True)
async def cut(texts: dict[str, str], actions: ActionFactory) -> None:
    """One task for each text, all at once, for whichever workers ask first."""
    tasks = [{"type": "count_words", "params": {"text": text}} for text in texts.values()]
    actions.dispatch_parallel(tasks, aggregate_into="add", on_failure="collect")


@survey.aggregator
async def add(aggregation_results: dict[str, Json], state_history: Json, actions: ActionFactory) -> None:
    """Runs once, after the last text; the results have the order of the tasks."""
    results = list(aggregation_results.values())
    state_history["words"] = sum(each["data"]["words"] for each in results if each["status"] == "success")
    state_history["unread"] = [each["error"]["message"] for each in results if each["status"] != "success"]
    actions.go_to("done")


@survey.handler(is_end=True)
async def done(words: int, unread: list[str]) -> Json:
    """The result of the job."""
    return {"words": words, "unread": unread}


worker = Worker()


@worker.skill
def count_words(text: str) -> dict[str, int]:
    """No coroutine: it runs in a thread, so that it may compute for as long as it takes."""
    if not text.isprintable():
        raise InvalidInputError("A text is no text.")
    return {"words": len(text.split())}


async def main() -> None:
    """Four texts, one of them broken."""
    texts = {"a": "to be or not to be", "b": "that is the question", "c": "\0", "d": "the rest is silence"}
    async with serving(survey, worker) as client:
        job = await client.run("/v1/survey", texts=texts)
        print(job["status"])
        print("words:", job["result"]["words"])
        print("unread:", *job["result"]["unread"])


if __name__ == "__main__":
    asyncio.run(main())
