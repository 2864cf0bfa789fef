"""The process: list files, analyse each of them on any worker, sum up, write a report.

Served by `avtomatika demo`, by `avtomatika dev`, and by `avtomatika serve` with the path of this file.
"""

from typing import Any

from analysis import File, Row
from avtomatika import ActionFactory, Blueprint
from collecting import Skipped, summarise

documents = Blueprint("documents", api_endpoint="/documents", api_version="v1")


@documents.handler(is_start=True)
def list_files(
    actions: ActionFactory, roots: list[str], out: str, bits: int = 256, suffixes: list[str] | None = None
) -> None:
    """A worker looks for the files: the orchestrator need not see them."""
    if bits % 4 or not 64 <= bits <= 65_536:
        raise ValueError(f"bits must be a multiple of 4 from 64 to 65536, not {bits}")
    actions.dispatch_task(
        "list_files",
        {"roots": roots, "suffixes": suffixes or [], "out": out},
        transitions={"success": "analyse"},
    )


@documents.handler
def analyse(actions: ActionFactory, files: list[File], bits: int = 256) -> None:
    """One task for each file, all at once. A file that cannot be read is a result like others."""
    actions.dispatch_parallel(
        [{"type": "analyse", "params": {"file": file, "bits": bits}} for file in files],
        aggregate_into="summarise",
        on_failure="collect",
    )


@documents.aggregator("summarise")
def sum_up(
    actions: ActionFactory,
    aggregation_results: dict[str, dict[str, Any]],
    state_history: dict[str, Any],
    files: list[File],
    skipped: list[Skipped],
) -> None:
    """Every task has ended: totals, and how much each worker did."""
    rows: list[Row] = []
    workers: dict[str, int] = {}
    # The results have the order of the tasks, and that is the order of the files.
    for file, result in zip(files, aggregation_results.values(), strict=True):
        if result["status"] == "success":
            rows.append(result["data"])
            workers[result["worker_id"]] = workers.get(result["worker_id"], 0) + 1
        else:
            error: dict[str, str] = result["error"] or {}
            skipped.append({"name": file["name"], "why": error.get("message") or "no result"})
    state_history["summary"] = summarise(rows)
    state_history["workers"] = dict(sorted(workers.items()))
    state_history["skipped"] = skipped
    state_history["rows"] = [{k: v for k, v in row.items() if k != "fingerprint"} for row in rows]
    actions.go_to("render")


@documents.handler
def render(actions: ActionFactory, state_history: dict[str, Any], out: str) -> None:
    """A worker writes the report."""
    names = ("summary", "workers", "skipped", "rows")
    params = {name: state_history[name] for name in names}
    actions.dispatch_task("render", {**params, "out": out}, transitions={"success": "done"})


@documents.handler(is_end=True)
def done(
    summary: dict[str, Any], workers: dict[str, int], skipped: list[Skipped], html: str, json: str
) -> dict[str, Any]:
    """The result of the job."""
    return {**summary, "workers": workers, "skipped": len(skipped), "html": html, "json": json}
