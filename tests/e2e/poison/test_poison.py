"""What kills one orchestrator of a shared store does not kill them one after the other for ever (G14).

The result of a task makes a handler due that ends the process. The worker hears no answer and sends the
result again, to the other orchestrator; a supervisor starts the dead one again.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Api, Launch, Program, free_port, until

HERE = Path(__file__).parent
TOKENS = {"CLIENT_TOKEN": "client-token-of-the-poison", "WORKER_TOKEN": "worker-token-of-the-poison"}
DELIVERIES = 3
LEASE = 2


class Fleet:
    """Two orchestrators and one worker; dead orchestrators are started again when somebody looks."""

    def __init__(self, launch: Launch, url: str, prefix: str) -> None:
        self.deaths = 0
        ports = free_port(), free_port()
        common = {"STORAGE_URL": url, "STORAGE_PREFIX": prefix, "LOG_LEVEL": "INFO"}
        common |= {"RUN_LEASE_SECONDS": str(LEASE)}
        common |= {"MAX_DELIVERIES": str(DELIVERIES), "CLIENT_TOKEN": TOKENS["CLIENT_TOKEN"]}
        common |= {"GLOBAL_WORKER_TOKEN": TOKENS["WORKER_TOKEN"]}
        common |= {"APPROVAL_SECRET": "a" * 40, "WEBHOOK_SECRET": "whsec_" + "a" * 44}
        self.nodes = [
            launch(HERE / "orchestrator.py", API_PORT=str(port), INSTANCE_ID=f"n{port}", **common)
            for port in ports
        ]
        self.apis = [Api(port, TOKENS["CLIENT_TOKEN"]) for port in ports]
        for api, node in zip(self.apis, self.nodes, strict=True):
            api.until_ready(node)
        urls = [{"url": api.url} for api in self.apis]
        self.worker = launch(
            HERE / "worker.py",
            ORCHESTRATORS_CONFIG=json.dumps(urls),
            MULTI_ORCHESTRATOR_MODE="ROUND_ROBIN",
            WORKER_TOKEN=TOKENS["WORKER_TOKEN"],
            WORKER_ID="w1",
        )

    def revive(self) -> None:
        """Dead orchestrators run again."""
        for node in self.nodes:
            if node.process is not None and node.process.poll() is not None:
                self.deaths += 1
                node.run()

    def job(self, job_id: str) -> dict[str, Any]:
        """The job, as whoever is alive shows it."""
        for api in self.apis:
            try:
                status, job = api.call("GET", f"/api/v1/jobs/{job_id}")
            except OSError:
                continue
            if status == 200:
                assert isinstance(job, dict)
                return job
        return {"status": "unknown"}

    def create(self, kills: bool) -> str:
        """A job is accepted by whoever is alive."""
        created: list[str] = []

        def accepted() -> bool:
            self.revive()
            for api in self.apis:
                try:
                    created.append(api.create("/api/v1/jobs/flow", {"kills": kills}))
                except OSError:
                    continue
                return True
            return False

        until(accepted, "nobody accepts a job")
        return created[0]

    def says(self) -> str:
        """What all of them said."""
        programs: list[Program] = [*self.nodes, self.worker]
        return "\n".join(f"{each.log.name}:\n{each.output[-3_000:]}" for each in programs)


@pytest.mark.parametrize("store", ["valkey_url", "postgres_uri"])
def test_a_handler_that_kills_every_orchestrator_is_put_aside_and_others_go_on(
    store: str, request: pytest.FixtureRequest, launch: Launch, storage_prefix: str
) -> None:
    fleet = Fleet(launch, request.getfixturevalue(store), storage_prefix)
    good = fleet.create(kills=False)
    until(lambda: fleet.job(good)["status"] == "finished", "nothing works\n", fleet.says)
    deadly = fleet.create(kills=True)

    def over() -> bool:
        fleet.revive()
        return fleet.job(deadly)["status"] not in ("unknown", "running", "pending", "waiting_for_worker")

    until(over, "it is not over\n", fleet.says)
    job = fleet.job(deadly)
    assert (job["status"], job["error"]["code"]) == ("quarantined", "HANDLER_ABANDONED"), fleet.says()
    # Until the first death is noticed a repetition may find the other one, and each of them once more.
    assert DELIVERIES <= fleet.deaths <= DELIVERIES + 6, fleet.deaths
    after = fleet.create(kills=False)
    until(lambda: fleet.job(after)["status"] == "finished", "nothing works any more\n", fleet.says)
