"""What a task demands of the machine of a worker, and whether it has it: pure matching, for both sides."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from rxon.errors import ProtocolError

__all__ = [
    "MAX_DEMANDED",
    "MAX_DEVICES",
    "Artifact",
    "Device",
    "Gpu",
    "Machine",
    "Requirements",
    "decode",
    "lacks",
    "parse",
]

Json = Any
Properties = Mapping[str, Json]


class Device(msgspec.Struct, frozen=True):
    """A device of a worker, or one that is demanded. What is not demanded is None or missing."""

    type: str | None = None
    model: str | None = None
    id: str | None = None
    properties: dict[str, Json] = {}


class Artifact(msgspec.Struct, frozen=True):
    """A model or data set that is installed, or demanded. The version `unknown` demands any."""

    name: str
    version: str = "unknown"
    properties: dict[str, Json] = {}


class Machine(msgspec.Struct, frozen=True):
    """What a worker says of its machine."""

    devices: tuple[Device, ...] = ()
    properties: dict[str, Json] = {}
    artifacts: tuple[Artifact, ...] = ()
    software: dict[str, str] = {}
    extra: dict[str, Json] = {}


class Gpu(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A demand of the first generation: part of the model's name, and gigabytes of memory."""

    model: str | None = None
    vram_gb: float = 0


class Requirements(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `resource_requirements` of a dispatch, old keys and new."""

    gpu_info: Gpu | None = None
    installed_models: tuple[str, ...] = ()
    resources: dict[str, Json] = {}
    installed_artifacts: tuple[str | Artifact, ...] = ()
    installed_software: dict[str, str] = {}
    skill: dict[str, Json] = {}
    extra_requirements: dict[str, Json] = {}


class _Resources(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    devices: tuple[Device, ...] = ()
    properties: dict[str, Json] = {}


ANY: Final = ("any", "unknown")
MAX_DEMANDED: Final = 64
MAX_DEVICES: Final = 1024
"""Of a worker that has more, these are looked at."""


def parse(given: Mapping[str, Json]) -> Requirements:
    """The requirements that *given* says. Raises ProtocolError for what is none."""
    try:
        requirements = msgspec.convert(dict(given), Requirements)
        devices = _resources(requirements).devices
    except msgspec.ValidationError as error:
        raise ProtocolError(f"These are no resource_requirements: {error}") from error
    if len(devices) > MAX_DEMANDED:
        raise ProtocolError(f"These are no resource_requirements: at most {MAX_DEMANDED} devices")
    return requirements


def decode(raw: bytes) -> Requirements:
    """The requirements that were kept with an order."""
    return msgspec.json.decode(raw, type=Requirements)


def lacks(requirements: Requirements, machine: Machine, skill: Properties) -> tuple[str, ...]:
    """What *machine* and the declared *skill* lack; empty when nothing."""
    wanted = _resources(requirements)
    gpu, devices = requirements.gpu_info, machine.devices[:MAX_DEVICES]
    found: list[str] = []
    if not _assignable(wanted.devices, devices) or not _has(wanted.properties, machine.properties):
        found.append("resource_mismatch")
    if gpu is not None and not any(_is_gpu(device, gpu) for device in devices):
        found.append("resource_mismatch")
    for artifact in (*requirements.installed_artifacts, *requirements.installed_models):
        demanded = Artifact(artifact) if isinstance(artifact, str) else artifact
        if not any(_is_artifact(installed, demanded) for installed in machine.artifacts):
            found.append(f"missing_artifact: {demanded.name}")
    for name, version in requirements.installed_software.items():
        if machine.software.get(name) is None:
            found.append(f"missing_software: {name}")
        elif version not in (*ANY, machine.software[name]):
            found.append(f"software_version_mismatch: {name}")
    found += (f"skill_param_mismatch: {key}" for key in _differing(requirements.skill, skill))
    found += (f"extra_mismatch: {key}" for key in _differing(requirements.extra_requirements, machine.extra))
    return tuple(found)


def _resources(requirements: Requirements) -> _Resources:
    given = requirements.resources
    if "properties" in given or "devices" in given:
        return msgspec.convert(given, _Resources)
    return _Resources(properties=given)  # the short form of 1.0b27: `{"cpu_cores": 8}`


def _assignable(demanded: Sequence[Device], present: Sequence[Device]) -> bool:
    """True when every demanded device can have one of its own: by augmenting paths, not first fit."""
    fitting = [_fitting(want, present, len(demanded)) for want in demanded]
    taken: dict[int, int] = {}

    def place(want: int, tried: set[int]) -> bool:
        for index in fitting[want]:
            if index in tried:
                continue
            tried.add(index)
            if index not in taken or place(taken[index], tried):
                taken[index] = want
                return True
        return False

    return all(place(want, set()) for want in range(len(demanded)))


def _fitting(want: Device, present: Sequence[Device], enough: int) -> list[int]:
    """Which devices fit. Who has as many to choose from as there are demands needs no more."""
    return list(islice((n for n, device in enumerate(present) if _is_device(device, want)), enough))


def _is_device(device: Device, demanded: Device) -> bool:
    model = (device.model or "").lower()
    return (
        (not demanded.type or demanded.type == device.type)
        and (not demanded.model or demanded.model.lower() in model)
        and (not demanded.id or demanded.id == device.id)
        and _has(demanded.properties, device.properties)
    )


def _is_gpu(device: Device, gpu: Gpu) -> bool:
    memory = device.properties.get("memory_gb", device.properties.get("vram_gb"))
    named = _is_device(device, Device(type="gpu", model=gpu.model))
    return named and (not gpu.vram_gb or _meets(gpu.vram_gb, memory))


def _is_artifact(installed: Artifact, demanded: Artifact) -> bool:
    if installed.name != demanded.name or demanded.version not in (*ANY, installed.version):
        return False
    return _has(demanded.properties, installed.properties)


def _has(demanded: Properties, present: Properties) -> bool:
    return all(_meets(value, present.get(name)) for name, value in demanded.items())


def _meets(demanded: Json, present: Json) -> bool:
    """Numbers: at least. Lists: something in common. A list and a value: membership. Else: equal."""
    if present is None:
        return False
    if isinstance(demanded, int | float) and isinstance(present, int | float):
        return present >= demanded
    if isinstance(demanded, list):
        return any(_contains(present, item) for item in _items(demanded))
    return _contains(present, demanded)


def _contains(present: Json, value: Json) -> bool:
    return value in _items(present) if isinstance(present, list) else bool(present == value)


def _items(value: Json) -> list[Json]:
    items: Callable[[Json], list[Json]] = list
    return items(value)


def _differing(demanded: Properties, present: Properties) -> list[str]:
    return [key for key, value in demanded.items() if key not in present or present[key] != value]
