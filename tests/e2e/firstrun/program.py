"""An orchestrator that nobody has configured."""

from avtomatika import Blueprint, OrchestratorEngine

hello = Blueprint("hello", api_version="v1", api_endpoint="/jobs/hello")


@hello.handler(is_start=True, is_end=True)
async def start() -> str:
    return "hello"


if __name__ == "__main__":
    engine = OrchestratorEngine()
    engine.register_blueprint(hello)
    engine.run()
