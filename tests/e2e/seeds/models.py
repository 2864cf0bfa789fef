"""A worker with the models of the page, which its tasks load and drop."""

from collections.abc import Awaitable, Callable
from typing import Any

from avtomatika_worker import Worker

worker = Worker(
    worker_type="ai-processor",
    skill_dependencies={
        "image_generation": ["stable_diffusion_v1.5", "vae-ft-mse"],
        "upscale": ["realesrgan_x4"],
    },
)


async def signed(context: dict[str, Any], proceed: Callable[[], Awaitable[Any]]) -> Any:
    """What every handler returns goes out with the name of its skill."""
    return {**await proceed(), "by": context["skill_name"]}


worker.add_middleware(signed)


@worker.task("image_generation")
async def image_generation(
    params: dict[str, Any],
    add_to_hot_cache: Callable[[str], None],
    remove_from_hot_cache: Callable[[str], None],
    **kwargs: Any,
) -> dict[str, Any]:
    for model in params.get("load", []):
        add_to_hot_cache(model)
    for model in params.get("drop", []):
        remove_from_hot_cache(model)
    return {}


@worker.task("upscale")
async def upscale(params: dict[str, Any], add_to_hot_cache: Callable[[str], None]) -> dict[str, Any]:
    add_to_hot_cache("realesrgan_x4")
    return {}


if __name__ == "__main__":
    worker.run_with_health_check()
