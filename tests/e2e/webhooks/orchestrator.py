"""The orchestrator that is killed: jobs that end at once, two of three well."""

from avtomatika import ActionFactory, Blueprint, OrchestratorEngine

news = Blueprint("news", api_version="v1", api_endpoint="/jobs/news", version="1")


@news.handler(is_start=True)
async def begin(n: int, actions: ActionFactory) -> None:
    if n % 3 == 2:
        actions.fail(f"number {n}")
    else:
        actions.go_to("done")


@news.handler(is_end=True)
async def done(n: int) -> dict[str, int]:
    return {"n": n}


if __name__ == "__main__":
    engine = OrchestratorEngine()
    engine.register_blueprint(news)
    engine.run()
