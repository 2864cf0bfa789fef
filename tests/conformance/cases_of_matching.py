"""Vectors of matching, whose oracle tries every assignment of devices to demands."""

from itertools import permutations
from random import Random
from typing import Any

Case = dict[str, object]
Json = Any

MACHINE = {
    "devices": [
        {"type": "gpu", "model": "NVIDIA RTX 4090", "id": "0", "properties": {"memory_gb": 24}},
        {
            "type": "gpu",
            "model": "NVIDIA T4",
            "id": "1",
            "properties": {"memory_gb": 16, "formats": ["fp16"]},
        },
        {"type": "tpu"},
    ],
    "properties": {"cpu_cores": 8, "ram_gb": 16.5, "zone": "eu", "tags": ["fast", "quiet"], "ssd": True},
    "artifacts": [
        {"name": "yolo", "version": "8"},
        {"name": "sd", "version": "1.5", "properties": {"quantised": True, "size_gb": 4}},
        {"name": "any"},
    ],
    "software": {"python": "3.12", "ffmpeg": "6"},
    "extra": {"websockets": False, "tier": 2},
}
SKILL = {"name": "blur", "type": "vision", "version": "2", "languages": ["en", "de"]}
NAMED: list[Json] = [
    {},
    {"gpu_info": {"model": "4090", "vram_gb": 24}},
    {"gpu_info": {"model": "rtx"}},
    {"gpu_info": {"vram_gb": 25}},
    {"gpu_info": {"model": "A100"}},
    {"gpu_info": {}},
    {"installed_models": ["yolo", "sd"]},
    {"installed_models": ["llama", "yolo"]},
    {"resources": {"cpu_cores": 8, "ram_gb": 16}},
    {"resources": {"cpu_cores": 8.5}},
    {"resources": {"properties": {"zone": "eu"}}},
    {"resources": {"properties": {"zone": ["us", "eu"]}}},
    {"resources": {"properties": {"zone": ["us"]}}},
    {"resources": {"properties": {"tags": "fast"}}},
    {"resources": {"properties": {"tags": ["loud", "quiet"]}}},
    {"resources": {"properties": {"tags": []}}},
    {"resources": {"properties": {"ssd": True}}},
    {"resources": {"properties": {"ssd": False}}},
    {"resources": {"properties": {"ssd": 1}}},
    {"resources": {"properties": {"unheard": None}}},
    {"resources": {"properties": {"unheard": 0}}},
    {"resources": {"properties": {"zone": 1}}},
    {"resources": {"devices": [{"type": "gpu"}, {"type": "gpu"}]}},
    {"resources": {"devices": [{"type": "gpu"}] * 3}},
    {"resources": {"devices": [{}, {}, {}]}},
    {"resources": {"devices": [{}, {}, {}, {}]}},
    {"resources": {"devices": [{"type": ""}, {"model": ""}, {"id": ""}]}},
    {"resources": {"devices": [{"type": "gpu"}, {"model": "4090"}]}},
    {"resources": {"devices": [{"type": "GPU"}]}},
    {"resources": {"devices": [{"model": "nvidia t4"}]}},
    {"resources": {"devices": [{"id": "1", "properties": {"formats": "fp16", "memory_gb": 16}}]}},
    {"resources": {"devices": [{"type": "tpu", "properties": {"memory_gb": 1}}]}},
    {"resources": {"devices": [{"type": "tpu"}], "properties": {"cpu_cores": 16}}},
    {"installed_artifacts": ["yolo", {"name": "sd", "properties": {"quantised": True, "size_gb": 3}}]},
    {"installed_artifacts": [{"name": "yolo", "version": "7"}]},
    {"installed_artifacts": [{"name": "yolo", "version": "unknown"}, {"name": "any", "version": "1"}]},
    {"installed_artifacts": [{"name": "sd", "properties": {"size_gb": 5}}]},
    {"installed_software": {"python": "any", "ffmpeg": "6"}},
    {"installed_software": {"python": "3.11", "julia": "any"}},
    {"skill": {"type": "vision", "version": "2"}},
    {"skill": {"version": "3", "speed": 1}},
    {"skill": {"languages": ["en", "de"]}},
    {"skill": {"languages": "en"}},
    {"extra_requirements": {"websockets": False, "tier": 2}},
    {"extra_requirements": {"websockets": True, "tier": 1}},
    {
        "gpu_info": {"model": "H100"},
        "resources": {"cpu_cores": 64},
        "installed_models": ["x"],
        "installed_software": {"y": "1"},
        "skill": {"z": 1},
        "extra_requirements": {"w": 1},
    },
]


def matching() -> list[Case]:
    """Named demands of one machine, random demands of random devices, and demands that first fit fails."""
    cases: list[Case] = [
        _case(f"{n}: {', '.join(each) or 'nothing'}", each, MACHINE, SKILL) for n, each in enumerate(NAMED)
    ]
    chance = Random(111)
    for n in range(60):
        devices = [_device(chance) for _ in range(chance.randrange(1, 6))]
        demanded = [_device(chance) for _ in range(chance.randrange(1, 1 + len(devices)))]
        cases.append(_case(f"random {n}", {"resources": {"devices": demanded}}, {"devices": devices}, {}))
    while len(cases) < len(NAMED) + 120:
        devices = [_device(chance) for _ in range(chance.randrange(2, 6))]
        demanded = [_relaxed(chance, device) for device in devices]
        chance.shuffle(demanded)
        if not _first_fit(demanded, devices):
            name = f"not by first fit {len(cases) - len(NAMED)}"
            cases.append(_case(name, {"resources": {"devices": demanded}}, {"devices": devices}, {}))
    return cases


def missing(requirements: Json, machine: Json, skill: Json) -> list[str]:
    """What is missing, each reason once, sorted."""
    found: set[str] = set()
    resources = requirements.get("resources", {})
    long_form = "devices" in resources or "properties" in resources
    properties = resources.get("properties", {}) if long_form else resources
    demanded = resources.get("devices", []) if long_form else []
    if not _has_all(properties, machine.get("properties", {})) or not _assigned(demanded, machine):
        found.add("resource_mismatch")
    if "gpu_info" in requirements and not any(
        _is_gpu(device, requirements["gpu_info"]) for device in machine.get("devices", [])
    ):
        found.add("resource_mismatch")
    for wanted in [*requirements.get("installed_artifacts", []), *requirements.get("installed_models", [])]:
        wanted = {"name": wanted} if isinstance(wanted, str) else wanted
        if not any(_is_artifact(each, wanted) for each in machine.get("artifacts", [])):
            found.add("missing_artifact: " + wanted["name"])
    for name, version in requirements.get("installed_software", {}).items():
        if name not in machine.get("software", {}):
            found.add("missing_software: " + name)
        elif version != "any" and version != machine["software"][name]:
            found.add("software_version_mismatch: " + name)
    for reason, demands, given in (
        ("skill_param_mismatch: ", "skill", skill),
        ("extra_mismatch: ", "extra_requirements", machine.get("extra", {})),
    ):
        differing = [k for k, v in requirements.get(demands, {}).items() if k not in given or given[k] != v]
        found.update(reason + key for key in differing)
    return sorted(found)


def _case(name: str, requirements: Json, machine: Json, skill: Json) -> Case:
    lacking = missing(requirements, machine, skill)
    return {
        "name": name,
        "requirements": requirements,
        "machine": machine,
        "skill": skill,
        "missing": lacking,
    }


def _device(chance: Random) -> Json:
    device: Json = {"type": chance.choice(["gpu", "gpu", "tpu"])}
    if chance.random() < 0.5:
        device["model"] = chance.choice(["A", "a b", "B", "ab", "c"])
    if chance.random() < 0.2:
        device["id"] = chance.choice(["0", "1"])
    if chance.random() < 0.6:
        device["properties"] = {chance.choice("xy"): _value(chance) for _ in range(chance.randrange(3))}
    return device


def _relaxed(chance: Random, device: Json) -> Json:
    """A demand that the device meets."""
    kept = {name: value for name, value in device.items() if name == "type" or chance.random() < 0.5}
    if "model" in kept:
        kept["model"] = kept["model"][-1].upper()
    return kept


def _first_fit(demanded: Json, devices: Json) -> bool:
    left = list(devices)
    for wanted in demanded:
        fitting = [device for device in left if _is_device(device, wanted)]
        if not fitting:
            return False
        left.remove(fitting[0])
    return True


def _value(chance: Random) -> Json:
    return chance.choice([0, 1, 2, 1.5, True, "x", "y", ["x"], ["y", "z"], [1, "x"]])


def _assigned(demanded: Json, machine: Json) -> bool:
    return any(
        all(_is_device(device, wanted) for device, wanted in zip(order, demanded, strict=True))
        for order in permutations(machine.get("devices", []), len(demanded))
    )


def _is_device(device: Json, wanted: Json) -> bool:
    if wanted.get("type") and wanted["type"] != device.get("type"):
        return False
    if wanted.get("model") and wanted["model"].lower() not in (device.get("model") or "").lower():
        return False
    if wanted.get("id") and wanted["id"] != device.get("id"):
        return False
    return _has_all(wanted.get("properties", {}), device.get("properties", {}))


def _is_gpu(device: Json, wanted: Json) -> bool:
    if (
        device.get("type") != "gpu"
        or (wanted.get("model") or "").lower() not in device.get("model", "").lower()
    ):
        return False
    properties = device.get("properties", {})
    return properties.get("memory_gb", properties.get("vram_gb", 0)) >= wanted.get("vram_gb", 0)


def _is_artifact(installed: Json, wanted: Json) -> bool:
    version = wanted.get("version", "unknown")
    fits = version == "unknown" or version == installed.get("version", "unknown")
    return (
        installed["name"] == wanted["name"]
        and fits
        and _has_all(wanted.get("properties", {}), installed.get("properties", {}))
    )


def _has_all(wanted: Json, given: Json) -> bool:
    return all(name in given and _satisfies(given[name], value) for name, value in wanted.items())


def _satisfies(given: Json, wanted: Json) -> bool:
    if given is None:
        return False
    numbers = (int, float)
    if isinstance(given, numbers) and isinstance(wanted, numbers):
        return given >= wanted
    if isinstance(wanted, list):
        return any(item in (given if isinstance(given, list) else [given]) for item in wanted)
    return wanted in given if isinstance(given, list) else given == wanted
