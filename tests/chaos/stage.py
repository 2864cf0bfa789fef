"""The parties of a run, put together: nodes, workers, clients, the store, and the network between them."""

import json
import random
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import psutil

from tests.chaos import clockwork
from tests.chaos.lines import Journal
from tests.chaos.load import Wanted
from tests.chaos.options import RUN_LEASE, SHARED, TASK_LEASE, Options
from tests.chaos.parties import DEADLINE, Party, module, program
from tests.chaos.proxy import Mode, Order, Plan
from tests.chaos.stores import Storage, storage
from tests.servers.process import free_port

TOKENS: Final = {
    "CLIENT_TOKEN": "client-token-under-fire",
    "GLOBAL_WORKER_TOKEN": "worker-token-under-fire",
    "OPERATOR_TOKEN": "operator-token-under-fire",
    "APPROVAL_SECRET": "approval-secret-of-all-nodes-under-fire",
    "WEBHOOK_SECRET": "whsec_" + b64encode(b"a key of thirty-two bytes, nearly").decode(),
}
SCHEDULES: Final = """
[beat]
blueprint = "beat"
interval_seconds = 1
catch_up = "all"
client = "default"

[pulse]
blueprint = "beat"
interval_seconds = 2
catch_up = "all"
"""
PACE: Final = {
    "HEARTBEAT_INTERVAL": "1",
    "POLL_BACKOFF_INITIAL": "0.1",
    "POLL_BACKOFF_MAX": "0.5",
    "TASK_POLL_TIMEOUT": "5",
    "TASK_POLL_ERROR_DELAY": "0.2",
    "REGISTRATION_RETRY_INITIAL_DELAY": "0.1",
    "REGISTRATION_RETRY_MAX_DELAY": "0.5",
    "RESULT_RETRY_INITIAL_DELAY": "0.1",
    "RESULT_MAX_RETRIES": "1000",
    "MAX_CONCURRENT_TASKS": "8",
    "MULTI_ORCHESTRATOR_MODE": "ROUND_ROBIN",
    "LOG_LEVEL": "WARNING",
}


class Stage:
    """Everything that a run consists of. Nothing of it is left after `close`."""

    def __init__(self, options: Options, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.lines = folder / "lines"
        self.lines.mkdir(parents=True)
        self.journal = Journal(self.lines / "conductor.jsonl")
        self.store: Storage = storage(options, folder)
        self.nodes: dict[str, Party] = {}
        self.workers: dict[str, Party] = {}
        self.ports: dict[str, int] = {}
        self._ports_taken = set[int]()
        self._links: dict[str, Plan] = {}
        self.proxy = Party("proxy", module("proxy"), folder, {}, spoken_to=True)
        self.load = Party("clients", module("load"), folder, {}, spoken_to=True)
        self.sink = self._port()

    def open(self) -> None:
        """Everybody is there, and every node takes requests."""
        self.store.start()
        (self.folder / "schedules.toml").write_text(SCHEDULES)
        names = [f"n{number}" for number in range(self.options.nodes)]
        for name in names:
            self.ports[name] = self._port()
            self._link(f"clients>{name}", self.ports[name])
            if self.options.store in SHARED:
                self._link(f"{name}>store", self.store.port)
        crew = [f"w{number}" for number in range(self.options.workers)]
        for worker in crew:
            for name in names:
                self._link(f"{worker}>{name}", self.ports[name])
        self.proxy.run()
        self.proxy.tell(msgspec.json.encode([*self._links.values()]))
        assert self.proxy.hear() == "ready", self.proxy.log.read_text()
        for name in names:
            self.nodes[name] = self._node(name)
            self.nodes[name].run()
        self.until(lambda: all(map(self.ready, names)), "the nodes are ready")
        for worker in crew:
            self.workers[worker] = self._worker(worker, names)
            self.workers[worker].run()

    def begin(self) -> None:
        """The clients have begun."""
        options = self.options
        wanted = Wanted(
            nodes={name: f"http://127.0.0.1:{self._links[f'clients>{name}'].port}" for name in self.nodes},
            token=TOKENS["CLIENT_TOKEN"],
            rate=options.rate,
            seconds=options.seconds,
            seed=options.seed,
            folder=str(self.lines),
            sink=self.sink,
        )
        self.load.run()
        self.load.tell(msgspec.json.encode(wanted))

    def become(self, wanted: str, mode: Mode, delay: float = 0.0) -> list[str]:
        """The links are like that from now on. Which they are is returned.

        *wanted* names a link, all those of a party, or those of all workers to a node.
        """
        if ">" not in wanted:
            chosen = [name for name in self._links if wanted in name.split(">")]
        elif wanted.startswith("workers>"):
            node = wanted.removeprefix("workers>")
            chosen = [name for name in self._links if name.startswith("w") and name.endswith(f">{node}")]
        else:
            chosen = [wanted]
        self.proxy.tell(msgspec.json.encode(Order(chosen, mode, delay)))
        assert self.proxy.hear() == "done", self.proxy.log.read_text()
        return chosen

    def ready(self, node: str) -> bool:
        """Whether the node takes requests."""
        try:
            return self.ask(node, "/_public/ready")[0] == 200
        except OSError:
            return False

    def ask(self, node: str, path: str) -> tuple[int, dict[str, object]]:
        """What the node answers an operator, past the network. Raises OSError."""
        url = f"http://127.0.0.1:{self.ports[node]}{path}"
        request = urllib.request.Request(url, headers={"X-Client-Token": TOKENS["OPERATOR_TOKEN"]})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def clock(self, node: str) -> Path:
        """The file by which the clock of the node is set."""
        return self.folder / f"{node}.clock"

    def until(self, what: Callable[[], bool], complaint: str, seconds: float = DEADLINE) -> None:
        """Returns when *what* is true."""
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, f"not in {seconds:.0f} s: {complaint}\n{self._last_words()}"
            time.sleep(0.05)

    def used(self) -> dict[str, float]:
        """The seconds of processor time that the parts of the harness itself took so far."""
        parts = {"conductor": psutil.Process()}
        for party in (self.proxy, self.load):
            assert party.process is not None
            parts[party.name] = psutil.Process(party.process.pid)
        return {name: round(sum(part.cpu_times()[:2]), 1) for name, part in parts.items()}

    def close(self) -> None:
        """Nothing runs any more."""
        for party in (self.load, *self.workers.values(), *self.nodes.values(), self.proxy):
            party.close()
        self.store.remove()

    def _last_words(self) -> str:
        return "\n".join(
            party.log.read_text()[-1_500:] for party in self.nodes.values() if party.log.exists()
        )

    def _port(self) -> int:
        while (port := free_port()) in self._ports_taken:
            pass
        self._ports_taken.add(port)
        return port

    def _link(self, name: str, target: int) -> None:
        self._links[name] = Plan(name, self._port(), target)

    def _node(self, name: str) -> Party:
        clockwork.make(self.clock(name))
        way = self._links[f"{name}>store"].port if self.options.store in SHARED else 0
        env = {
            **TOKENS,
            "API_PORT": str(self.ports[name]),
            "INSTANCE_ID": name,
            "PUBLIC_URL": "http://chaos.invalid",
            "STORAGE_URL": self.store.url(way),
            "AVTOMATIKA_DATA_DIR": str(self.folder / f"{name}-data"),
            "SCHEDULES_CONFIG_PATH": str(self.folder / "schedules.toml"),
            "TASK_LEASE_SECONDS": str(TASK_LEASE),
            "RUN_LEASE_SECONDS": str(RUN_LEASE),
            "MAX_DELIVERIES": "1000",
            "RETRY_BACKOFF_SECONDS": "0.2",
            "REPUTATION_PENALTY_TASK_FAILURE": "0",
            "DISPATCHER_SPILL_AFTER_SECONDS": "0.3",
            "WEBHOOK_ALLOW_HTTP": "true",
            "WEBHOOK_ALLOWED_HOSTS": "127.0.0.1/32",
            "WEBHOOK_TIMEOUT_SECONDS": "1",
            "WEBHOOK_BACKOFF_SECONDS": "0.2",
            "WEBHOOK_BACKOFF_MAX_SECONDS": "1",
            "WEBHOOK_MAX_TRIES": "1000",
            "LOG_LEVEL": "WARNING",
            "CHAOS_CLOCK": str(self.clock(name)),
            "CHAOS_PLANT": self.options.plant,
        }
        return Party(name, program("orchestrator"), self.folder, env)

    def _worker(self, name: str, nodes: list[str]) -> Party:
        ways = {node: self._links[f"{name}>{node}"].port for node in nodes}
        chance = random.Random(name)
        env = {
            **PACE,
            "WORKER_ID": name,
            "WORKER_PORT": str(self._port()),
            "WORKER_TOKEN": TOKENS["GLOBAL_WORKER_TOKEN"],
            "WORKER_TRANSPORT": "stream" if int(name[1:]) % 2 else "poll",
            "ORCHESTRATORS_CONFIG": json.dumps(
                [{"url": f"http://127.0.0.1:{port}"} for port in ways.values()]
            ),
            "XDG_STATE_HOME": str(self.folder / f"{name}-state"),
            "PYTHONHASHSEED": str(chance.randrange(1_000)),
            "CHAOS_JOURNAL": str(self.lines / f"{name}.jsonl"),
            "CHAOS_NODES": ",".join(f"{port}={node}" for node, port in ways.items()),
        }
        return Party(name, program("worker"), self.folder, env)
