"""Primes are counted in pieces, by whichever workers are there."""

from typing import Any

from avtomatika import ActionFactory, Blueprint

primes = Blueprint("primes", api_version="v1", api_endpoint="/primes")


@primes.handler(is_start=True)
async def cut(pieces: list[list[int]], actions: ActionFactory) -> None:
    """One task for each piece, all at once."""
    tasks = [{"type": "count_primes", "params": {"low": low, "high": high}} for low, high in pieces]
    actions.dispatch_parallel(tasks, aggregate_into="add", on_failure="collect")


@primes.aggregator
async def add(
    aggregation_results: dict[str, dict[str, Any]], state_history: dict[str, Any], actions: ActionFactory
) -> None:
    """Runs once, after the last piece; the results have the order of the tasks."""
    results = list(aggregation_results.values())
    state_history["primes"] = sum(r["data"]["primes"] for r in results if r["status"] == "success")
    state_history["refused"] = [r["error"]["message"] for r in results if r["status"] != "success"]
    actions.go_to("done")


@primes.handler(is_end=True)
async def done(primes: int, refused: list[str]) -> dict[str, Any]:
    """The result of the job."""
    return {"primes": primes, "refused": refused}
