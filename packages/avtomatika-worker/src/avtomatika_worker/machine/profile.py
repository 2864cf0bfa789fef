"""How a worker describes itself to orchestrators."""

import copy
import platform
import socket
import time
from typing import Any, Self

from avtomatika_worker.config import WorkerConfig
from avtomatika_worker.machine.hardware import Hardware
from avtomatika_worker.machine.usage import Deadband, UsageMeter
from avtomatika_worker.running.capacity import Openings
from avtomatika_worker.skills.hot_cache import HotCache
from avtomatika_worker.skills.skills import Catalog
from rxon.attachments import s3_config_hash
from rxon.messages import (
    HardwareDevice,
    Heartbeat,
    InstalledArtifact,
    Registration,
    Resources,
    ResourcesUsage,
    WorkerCapabilities,
)
from rxon.skills_hash import skills_hash
from rxon.vocabulary import WorkerStatus

__all__ = ["Profile"]


class Profile:
    """The messages in which the worker speaks of itself; settings are read when it is made.

    ``hardware`` is what was found; the settings come before it. ``meter`` knows how loaded it is.
    """

    def __init__(
        self,
        config: WorkerConfig,
        worker_type: str,
        catalog: Catalog,
        hot_cache: HotCache,
        hardware: Hardware | None = None,
        meter: UsageMeter | None = None,
    ) -> None:
        self.worker_id = config.WORKER_ID
        self._type = worker_type
        self._catalog = catalog
        self._hot_cache = hot_cache
        self._was_loaded = False
        self._was_hot = False
        self._limit = config.MAX_CONCURRENT_TASKS
        self._resources = _resources(config, hardware or Hardware())
        self._meter = meter
        self._deadband = Deadband(config.WORKER_TELEMETRY_DEADBAND, config.WORKER_TELEMETRY_FORCE_INTERVAL)
        self._software = dict(config.INSTALLED_SOFTWARE)
        self._artifacts = _artifacts(config)
        self._capabilities = _capabilities(config)
        self._skills_hash = skills_hash(
            catalog.infos, self._capabilities.cost_per_skill, self._capabilities.extra
        )

    def for_connection(self) -> Self:
        """The same worker, as it speaks to one orchestrator: what another one was told does not count."""
        mine = copy.copy(self)
        mine._deadband = copy.copy(self._deadband)
        return mine

    def hot_skills(self) -> tuple[str, ...]:
        """Skills that are ready at once."""
        hot = self._hot_cache.hot_skills(self._catalog.names)
        self._was_hot = self._was_hot or bool(hot)
        return hot

    def registration(self, openings: Openings) -> Registration:
        """Everything there is to say, at this moment."""
        self._deadband.forget()
        return Registration(
            worker_id=self.worker_id,
            worker_type=self._type,
            supported_skills=self._catalog.infos,
            available_skills=self._available(openings),
            hot_skills=self.hot_skills() or None,
            resources=self._resources,
            installed_software=self._software,
            installed_artifacts=self._artifacts,
            capabilities=self._capabilities,
            skills_hash=self._skills_hash,
            timestamp=int(time.time()),
            max_concurrent_tasks=self._limit,
        )

    def heartbeat(
        self,
        openings: Openings,
        tasks: tuple[str, ...],
        status: WorkerStatus | None = None,
        full: bool = False,
    ) -> Heartbeat:
        """What has changed or may change; with all skills if ``full``.

        Without a ``status``, it is idle while there is room for another task.
        """
        available = self._available(openings)
        room = WorkerStatus.IDLE if available else WorkerStatus.BUSY
        cache, hot = self._hot_cache, self.hot_skills()
        self._was_loaded = self._was_loaded or bool(cache.models)
        return Heartbeat(
            worker_id=self.worker_id,
            status=(status or room).value,
            usage=self._usage(),
            current_tasks=tasks,
            supported_skills=self._catalog.infos if full else None,
            available_skills=available,
            hot_skills=hot if self._was_hot else None,  # empty when the last one has cooled down
            hot_cache=tuple(sorted(cache.models)) if self._was_loaded else None,
            skill_dependencies=cache.dependencies or None,
            skills_hash=self._skills_hash,
            timestamp=int(time.time()),
        )

    def _usage(self) -> ResourcesUsage | None:
        return None if self._meter is None else self._deadband.news(self._meter.latest, time.monotonic())

    def _available(self, openings: Openings) -> tuple[str, ...]:
        if openings.limit <= 0:
            return ()
        skills = openings.skills
        return tuple(name for name in self._catalog.names if skills is None or name in skills)


def _resources(config: WorkerConfig, found: Hardware) -> Resources:
    """What the settings say; what was found where they say nothing."""
    devices = list(config.WORKER_DEVICES)
    if config.GPU_MODEL:
        memory = {"memory_gb": config.GPU_VRAM_GB}
        devices.append(HardwareDevice("gpu", config.GPU_MODEL, config.GPU_ID, properties=memory))
    elif not config.is_set("WORKER_DEVICES"):
        devices = list(found.gpus)
    cores = config.CPU_CORES if config.is_set("CPU_CORES") else found.cpu_cores
    memory_gb = config.RAM_GB if config.is_set("RAM_GB") else found.ram_gb
    properties: dict[str, Any] = {"cpu_cores": config.CPU_CORES if cores is None else cores}
    if memory_gb:
        properties["ram_gb"] = memory_gb
    return Resources(devices=tuple(devices) or None, properties=properties)


def _artifacts(config: WorkerConfig) -> tuple[InstalledArtifact, ...] | None:
    models = (
        InstalledArtifact(model.get("name", "unknown"), model.get("version", "unknown"), type="model")
        for model in config.INSTALLED_MODELS
    )
    return (*config.INSTALLED_ARTIFACTS, *models) or None


def _capabilities(config: WorkerConfig) -> WorkerCapabilities:
    return WorkerCapabilities(
        hostname=platform.node() or "unknown",
        ip_address=_ip_address(),
        cost_per_skill=dict(config.COST_PER_SKILL) or None,
        s3_config_hash=s3_config_hash(config.S3_ENDPOINT_URL, config.S3_ACCESS_KEY, config.S3_DEFAULT_BUCKET),
        extra={"websockets": config.may_use_websockets, **config.EXTRA_CAPABILITIES},
    )


def _ip_address() -> str:
    """The address of the interface that leads outside; connecting a datagram socket sends nothing."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # an address reserved for documentation
            return str(probe.getsockname()[0])
    except OSError:
        return "0.0.0.0"  # noqa: S104 - the protocol's word for "unknown"
