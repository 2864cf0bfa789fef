"""A worker whose skills ask for their parameters in the three shapes of the page, and return all it names."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from avtomatika_worker import Worker
from avtomatika_worker.typing import PERMANENT_ERROR, TRANSIENT_ERROR

worker = Worker(worker_type="image-processing")


@dataclass
class Size:
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError("Width and height must be positive.")


class Source(BaseModel):
    width: int = Field(gt=0, description="Width must be positive")
    height: int = Field(gt=0, description="Height must be positive")
    source_url: str


@worker.task("resize_dict")
async def resize_dict(params: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    known = {name: kwargs.get(name) for name in ("task_id", "job_id", "priority")}
    return {"width": params.get("width"), "height": params.get("height"), **known}


@worker.task("resize_dataclass")
async def resize_dataclass(params: Size, **kwargs: Any) -> dict[str, Any]:
    return {"said": f"to {params.width}x{params.height}"}


@worker.task("resize_pydantic")
async def resize_pydantic(params: Source, **kwargs: Any) -> dict[str, Any]:
    return {"said": f"{params.source_url} to {params.width}x{params.height}"}


@worker.task("nothing")
async def nothing(params: dict[str, Any], **kwargs: Any) -> None:
    params.get("width")


@worker.task("succeed")
async def succeed(params: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"output": "some_value"}}


@worker.task("doubt")
async def doubt(params: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    return {"status": "needs_manual_review", "data": {"reason": "Low confidence score"}}


@worker.task("fail_for_now")
async def fail_for_now(params: dict[str, Any], job_id: str, **kwargs: Any) -> dict[str, Any]:
    print(f"tried {job_id}")
    return {"status": "failure", "error": {"code": TRANSIENT_ERROR, "message": "External API timeout"}}


@worker.task("fail_for_good")
async def fail_for_good(params: dict[str, Any], job_id: str, **kwargs: Any) -> dict[str, Any]:
    print(f"tried {job_id}")
    return {"status": "failure", "error": {"code": PERMANENT_ERROR, "message": "Corrupted input file"}}


if __name__ == "__main__":
    worker.run_with_health_check()
