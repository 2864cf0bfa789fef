"""Machines and skills as the first generations described them."""

from collections.abc import Iterable
from typing import Any

import msgspec

from rxon.messages import HardwareDevice, InstalledArtifact, InstalledModel, Resources, SkillInfo

__all__ = ["Gpu", "OldResources", "artifacts_of", "resources_of", "skills_of"]


class Gpu(msgspec.Struct, frozen=True):
    """The one GPU that a machine could have."""

    model: str | None = None
    vram_gb: float | None = None


class OldResources(msgspec.Struct, frozen=True):
    """A machine, before it had devices and properties."""

    max_concurrent_tasks: int | None = None
    cpu_cores: float | None = None
    ram_gb: float | None = None
    gpu_info: Gpu | None = None
    devices: tuple[HardwareDevice, ...] | None = None
    properties: dict[str, Any] | None = None


def resources_of(said: OldResources | None) -> Resources | None:
    """The same machine in the words of today."""
    if said is None:
        return None
    devices = list(said.devices or ())
    if said.gpu_info is not None:
        memory = {} if said.gpu_info.vram_gb is None else {"memory_gb": said.gpu_info.vram_gb}
        devices.append(HardwareDevice(type="gpu", model=said.gpu_info.model, properties=memory))
    counted = {"cpu_cores": said.cpu_cores, "ram_gb": said.ram_gb}
    present = {name: number for name, number in counted.items() if number is not None}
    return Resources(
        devices=tuple(devices) or None, properties={**present, **(said.properties or {})} or None
    )


def skills_of(names: Iterable[str]) -> tuple[SkillInfo, ...]:
    """Skills of which only the names are known. The type is the name, as later generations have it."""
    return tuple(SkillInfo(name=name, type=name) for name in names)


def artifacts_of(models: Iterable[InstalledModel] | None) -> tuple[InstalledArtifact, ...] | None:
    """Installed models as artifacts."""
    if models is None:
        return None
    return tuple(InstalledArtifact(model.name, model.version, "model") for model in models)
