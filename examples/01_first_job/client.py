"""Creates two jobs over HTTP, waits for them, and prints how they ended."""

import json
import os
import tomllib
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

URL = os.environ.get("ORCHESTRATOR_URL", "http://127.0.0.1:8080")
TOKEN = (
    os.environ.get("CLIENT_TOKEN") or tomllib.loads(Path(".avtomatika/secrets.toml").read_text())["client"]
)


def call(method: str, path: str, body: Any = None, **headers: str) -> Any:
    """The decoded answer of the orchestrator. Raises HTTPError for a refusal."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(f"{URL}{path}", data, {"X-Client-Token": TOKEN, **headers}, method=method)
    with urlopen(request) as answer:
        return json.load(answer)


def create(order: dict[str, Any], number: str) -> str:
    """The id of the job for the order. Asking again for the same order gives the same job."""
    headers = {"Idempotency-Key": f"order-{number}"}
    job_id: str = call("POST", "/api/v1/invoices", order, **headers)["job_id"]
    return job_id


def ended(job_id: str) -> dict[str, Any]:
    """The job, which is over."""
    while True:
        job: dict[str, Any] = call("GET", f"/api/v1/jobs/{job_id}?wait=30")
        if job["status"] in ("finished", "failed", "cancelled", "quarantined"):
            return job


def main() -> None:
    """Both orders are dealt with."""
    order = {
        "customer": "Ada",
        "items": [{"name": "gear", "count": 3, "cents": 250}, {"name": "card", "count": 40, "cents": 5}],
    }
    first, again = create(order, "4711"), create(order, "4711")
    print("one job:", first == again)
    job = ended(first)
    print(job["status"])
    print(job["result"])
    job = ended(create({"customer": "Bob", "items": []}, "4712"))
    print(job["status"])
    print(job["result"])


if __name__ == "__main__":
    main()
