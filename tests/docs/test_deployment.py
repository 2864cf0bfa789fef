"""The files in `deploy/` fit what nodes and workers really offer. No containers and no cluster are needed."""

import json
import re
import shlex
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import yaml

from avtomatika import Config
from avtomatika.app.joining import secrets_of
from avtomatika.config import VARIABLES
from avtomatika.errors import ConfigError
from avtomatika.http.operations import PUBLIC
from avtomatika_worker import WorkerConfig
from avtomatika_worker.environment import Variable
from rxon.stream.channel import KEEP_ALIVE
from tests.docs.pages import ROOT
from tests.docs.test_container import files as container_files
from tests.docs.test_container import stages

DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
NGINX = (DEPLOY / "nginx.conf").read_text("utf-8")
SECRETS = {
    *("APPROVAL_SECRET", "CLIENT_TOKEN", "GLOBAL_WORKER_TOKEN", "OPERATOR_TOKEN", "WEBHOOK_SECRET"),
    *("S3_ACCESS_KEY", "S3_SECRET_KEY", "WORKER_TOKEN"),
}
OF_WORKERS = {name for name, found in vars(WorkerConfig).items() if isinstance(found, Variable)}
FOR_PYTHON = {"PATH", "PYTHONDONTWRITEBYTECODE"}
ORCHESTRATORS = ("orchestrator-1", "orchestrator-2")
LONGEST_WAIT = 60


def manifests() -> dict[tuple[str, str], dict[str, Any]]:
    """What Kubernetes is told, by kind and name."""
    found = (
        document
        for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
        if path.name != "kustomization.yaml"
        for document in yaml.safe_load_all(path.read_text("utf-8"))
    )
    return {(document["kind"], document["metadata"]["name"]): document for document in found}


OBJECTS = manifests()
RUNNING = {name: found for (kind, name), found in OBJECTS.items() if kind in ("Deployment", "StatefulSet")}


def pod(name: str) -> dict[str, Any]:
    found: dict[str, Any] = RUNNING[name]["spec"]["template"]["spec"]
    return found


def container(name: str) -> dict[str, Any]:
    (only,) = pod(name)["containers"]
    found: dict[str, Any] = only
    return found


def image(name: str) -> dict[str, str]:
    """The instructions of the last stage of a Containerfile; of several of a word the last."""
    return dict(stages((DEPLOY / name / "Containerfile").read_text("utf-8"))[-1])


def seconds(text: str) -> int:
    (found,) = re.findall(r"^(\d+)s$", text)
    return int(found)


SERVED = {
    "orchestrator": {operation.path for operation in PUBLIC},
    "worker": set(
        re.findall(
            r'add_get\("(/\w+)"',
            (ROOT / "packages/avtomatika-worker/src/avtomatika_worker/watching/health.py").read_text("utf-8"),
        )
    ),
}
SETTINGS = {"orchestrator": set(VARIABLES), "worker": OF_WORKERS}


@pytest.mark.parametrize("name", ["orchestrator", "worker"])
def test_a_container_file_sets_what_there_is_and_runs_as_nobody_of_importance(name: str) -> None:
    text = (DEPLOY / name / "Containerfile").read_text("utf-8")
    last = image(name)
    given = dict(part.split("=", 1) for part in shlex.split(last["ENV"]))
    assert set(given) - FOR_PYTHON <= SETTINGS[name]
    assert not SECRETS & set(given)
    assert last["USER"] == "10001"
    assert "useradd --uid 10001" in text
    assert last["STOPSIGNAL"] == "SIGTERM"
    assert isinstance(json.loads(last["CMD"]), list)
    copied = [rest.split()[0] for word, rest in stages(text)[-1] if word == "COPY" and "--from" not in rest]
    assert all((DEPLOY / name / file).is_file() for file in copied)
    default = VARIABLES["API_PORT"] if name == "orchestrator" else str(WorkerConfig({}).WORKER_PORT)
    assert last["EXPOSE"] == default
    health = re.findall(r"http://127.0.0.1:(\d+)(/[\w/]+)", last["HEALTHCHECK"])
    assert [port for port, _ in health] == [default]
    assert {path for _, path in health} <= SERVED[name]


def test_the_worker_is_packaged_as_its_page_says() -> None:
    page = container_files()["Containerfile"].replace("USER worker\n", "USER 10001\n")
    assert (DEPLOY / "worker" / "Containerfile").read_text("utf-8") == page


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_a_service_can_change_nothing_and_gains_nothing(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("user", "999:999") != "0:0"
    for place in service.get("ports", ()):
        assert place.startswith("127.0.0.1:"), "to open it to others is a decision"


@pytest.mark.parametrize("name", [*ORCHESTRATORS, "worker"])
def test_the_environment_of_a_service_exists_and_holds_no_secret(name: str) -> None:
    environment = COMPOSE["services"][name]["environment"]
    assert set(environment) <= SETTINGS[name.partition("-")[0]]
    for secret in SECRETS & set(environment):
        assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", environment[secret]), "without it nothing starts"


def test_the_environment_makes_settings_of_a_node() -> None:
    environment = COMPOSE["services"]["orchestrator-1"]["environment"]
    settings = Config({**environment, **made_up(), "PUBLIC_URL": ""}).settings()
    assert settings.storage.shared
    assert settings.storage.url.endswith("@valkey:6379/0") or "//valkey:6379/" in settings.storage.url
    assert set(secrets_of(settings)) - {"ORCHESTRATOR_SECRET_KEY"} == set(made_up())


def test_the_store_is_reached_by_orchestrators_alone_and_keeps_what_it_accepts() -> None:
    services, networks = COMPOSE["services"], COMPOSE["networks"]
    assert networks["store"]["internal"] is True
    assert {name for name, each in services.items() if "store" in each["networks"]} == {
        "valkey",
        *ORCHESTRATORS,
    }
    assert "ports" not in services["valkey"]
    for command in (services["valkey"]["command"], container("valkey")["args"]):
        options = dict(zip(command[1::2], command[2::2], strict=True))
        assert options["--appendonly"] == "yes"
        assert options["--appendfsync"] == "always"
        assert options["--maxmemory-policy"] == "noeviction"


def test_there_is_time_to_stop() -> None:
    services = COMPOSE["services"]
    drain, work = int(VARIABLES["DRAIN_TIMEOUT_SECONDS"]), WorkerConfig({}).WORKER_SHUTDOWN_TIMEOUT
    assert all(seconds(services[name]["stop_grace_period"]) >= drain + 10 for name in ORCHESTRATORS)
    assert seconds(services["worker"]["stop_grace_period"]) >= work + 5
    hold = int(container("orchestrator")["lifecycle"]["preStop"]["exec"]["command"][1])
    drain = int(OBJECTS["ConfigMap", "avtomatika"]["data"]["DRAIN_TIMEOUT_SECONDS"])
    assert pod("orchestrator")["terminationGracePeriodSeconds"] >= hold + drain + 10
    assert pod("worker")["terminationGracePeriodSeconds"] >= work + 5


def directives(name: str) -> list[str]:
    """What the configuration of nginx says after that word."""
    return re.findall(rf"^\s*{name} (.+);$", NGINX, re.MULTILINE)


def test_nginx_knows_every_node_and_waits_longer_than_anybody() -> None:
    port = VARIABLES["API_PORT"]
    assert [each.split()[0] for each in directives("server")] == [f"{name}:{port}" for name in ORCHESTRATORS]
    assert [each.rpartition(":")[2] for each in COMPOSE["services"]["nginx"]["ports"]] == directives("listen")
    longest = max(LONGEST_WAIT, int(VARIABLES["WORKER_POLL_TIMEOUT_SECONDS"]), KEEP_ALIVE)
    assert all(seconds(each) > longest for each in directives("proxy_read_timeout"))
    assert directives("client_max_body_size") == [f"{int(VARIABLES['MAX_UPLOAD_BYTES']) >> 30}g"]


def test_nginx_passes_streams_on() -> None:
    assert directives("proxy_http_version") == ["1.1"]
    assert {"Upgrade $http_upgrade", "Connection $connection_upgrade"} <= set(directives("proxy_set_header"))
    assert directives("proxy_buffering") == directives("proxy_request_buffering") == ["off"]
    assert "location = /_public/metrics {" in NGINX


def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    """The blocks are whole; where there is an nginx, it says so itself."""
    plain = re.sub(r"#.*", "", NGINX)
    assert plain.count("{") == plain.count("}")
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    assert all(line.endswith((";", "{", "}")) for line in lines)
    program = shutil.which("nginx")
    if program is not None:
        file = tmp_path / "nginx.conf"
        file.write_text(NGINX.replace("orchestrator-1", "127.0.0.1").replace("orchestrator-2", "127.0.0.2"))
        subprocess.run([program, "-t", "-c", file], check=True, timeout=20)


@pytest.mark.parametrize("name", sorted(RUNNING))
def test_a_pod_is_nobody_and_can_change_nothing(name: str) -> None:
    assert pod(name)["securityContext"]["runAsNonRoot"] is True
    assert pod(name)["automountServiceAccountToken"] is False
    inside = container(name)["securityContext"]
    assert inside["readOnlyRootFilesystem"] is True
    assert inside["allowPrivilegeEscalation"] is False
    assert inside["capabilities"] == {"drop": ["ALL"]}
    mounted = {each["name"] for each in container(name)["volumeMounts"]}
    claims = [each["metadata"]["name"] for each in RUNNING[name]["spec"].get("volumeClaimTemplates", ())]
    assert mounted == {each["name"] for each in pod(name).get("volumes", ())} | set(claims)


@pytest.mark.parametrize("name", ["orchestrator", "worker"])
def test_probes_ask_what_is_answered_on_the_port_that_listens(name: str) -> None:
    (port,) = container(name)["ports"]
    assert str(port["containerPort"]) == image(name)["EXPOSE"]
    probes = {kind: each["httpGet"] for kind, each in container(name).items() if kind.endswith("Probe")}
    assert {"livenessProbe", "readinessProbe"} <= set(probes)
    assert all(probe["port"] == port["name"] for probe in probes.values())
    assert {probe["path"] for probe in probes.values()} <= SERVED[name]
    ready, alive = probes["readinessProbe"]["path"], probes["livenessProbe"]["path"]
    assert ready.endswith("/ready")
    assert ready != alive, "a node that drains is no reason to kill it"


def test_selectors_find_the_pods_that_they_mean() -> None:
    labels = {name: found["spec"]["template"]["metadata"]["labels"] for name, found in RUNNING.items()}
    for (kind, name), found in OBJECTS.items():
        if kind in ("Deployment", "StatefulSet", "PodDisruptionBudget"):
            assert found["spec"]["selector"]["matchLabels"] == labels[name]
        if kind == "Service":
            assert found["spec"]["selector"] == labels[name]
            ports = {port["name"] for port in container(name)["ports"]}
            assert {port["targetPort"] for port in found["spec"]["ports"]} <= ports


def test_every_key_of_settings_and_secrets_is_a_variable_and_no_secret_is_one_that_works() -> None:
    settings = OBJECTS["ConfigMap", "avtomatika"]["data"]
    secrets = OBJECTS["Secret", "avtomatika"]["stringData"]
    assert set(settings) | set(secrets) <= set(VARIABLES)
    assert not SECRETS & set(settings)
    assert {name for name in VARIABLES if name in SECRETS} <= set(secrets)
    with pytest.raises(ConfigError) as refused:
        Config({**settings, **secrets}).settings()
    wrong = {"CLIENT_TOKEN", "GLOBAL_WORKER_TOKEN", "OPERATOR_TOKEN", "APPROVAL_SECRET", "WEBHOOK_SECRET"}
    assert all(name in refused.value.message for name in wrong)
    settings = Config({**settings, **secrets, **made_up()}).settings()
    assert settings.storage.shared
    assert settings.files.s3 is not None, "pods share no folder"
    for each in container("worker")["env"]:
        assert each["name"] in OF_WORKERS
        reference = each.get("valueFrom", {}).get("secretKeyRef")
        assert reference is None or reference["key"] in secrets


def test_one_node_is_left_whatever_is_done_to_the_machines() -> None:
    deployment = OBJECTS["Deployment", "orchestrator"]["spec"]
    assert deployment["replicas"] >= 2
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert (
        OBJECTS["PodDisruptionBudget", "orchestrator"]["spec"]["minAvailable"] == deployment["replicas"] - 1
    )


def test_everything_that_is_applied_is_listed_but_the_template() -> None:
    listed = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text("utf-8"))["resources"]
    there = {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml")}
    assert there - set(listed) == {"kustomization.yaml", "secret.template.yaml"}


def made_up() -> dict[str, str]:
    """Secrets as somebody would set them."""
    tokens = ("CLIENT_TOKEN", "GLOBAL_WORKER_TOKEN", "OPERATOR_TOKEN", "APPROVAL_SECRET")
    webhook = "whsec_" + b64encode(b"a secret of the tests, 32 bytes.").decode()
    return {**{name: f"{name.lower()}-of-the-tests" for name in tokens}, "WEBHOOK_SECRET": webhook}
