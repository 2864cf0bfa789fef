"""The process that this deployment serves. Put your own in its place."""

from avtomatika import ActionFactory, Blueprint

words = Blueprint("words", api_version="v1", api_endpoint="/words")


@words.handler(is_start=True)
async def start(text: str, actions: ActionFactory) -> None:
    actions.dispatch_task("count_words", {"text": text}, transitions={"success": "counted"})


@words.handler(is_end=True)
async def counted(words: int) -> dict[str, int]:
    return {"words": words}
