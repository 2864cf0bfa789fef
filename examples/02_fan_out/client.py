"""Creates one job over HTTP, waits for it, and prints its result."""

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


def call(method: str, path: str, body: Any = None) -> Any:
    """The decoded answer of the orchestrator. Raises HTTPError for a refusal."""
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(f"{URL}{path}", data, {"X-Client-Token": TOKEN}, method=method)) as answer:
        return json.load(answer)


def main() -> None:
    """Twenty pieces and one that is wrong."""
    pieces = [[low, low + 10_000] for low in range(0, 200_000, 10_000)]
    job_id = call("POST", "/api/v1/primes", {"pieces": [*pieces, [7, 3]]})["job_id"]
    while True:
        job = call("GET", f"/api/v1/jobs/{job_id}?wait=30")
        if job["status"] in ("finished", "failed", "cancelled", "quarantined"):
            break
    print(job["status"])
    print("primes:", job["result"]["primes"])
    print("refused:", *job["result"]["refused"])


if __name__ == "__main__":
    main()
