"""Whether a machine has what a task demands (features A5 and D2)."""

import time
from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxon.errors import ProtocolError
from rxon.requirements import MAX_DEMANDED, MAX_DEVICES, Artifact, Device, Machine, lacks, parse
from tests.conformance.cases_of_matching import missing

MACHINE = Machine(
    devices=(
        Device("gpu", "NVIDIA RTX 4090", "0", {"memory_gb": 24}),
        Device("gpu", "NVIDIA T4", "1", {"memory_gb": 16, "formats": ["fp16", "int8"]}),
    ),
    properties={"cpu_cores": 8, "ram_gb": 16.0, "zone": "eu", "tags": ["fast", "quiet"]},
    artifacts=(Artifact("yolo", "8"), Artifact("sd", "1.5", {"quantised": True})),
    software={"python": "3.12"},
    extra={"websockets": False},
)
SKILL = {"name": "blur", "type": "vision", "version": "2", "languages": "en"}


@pytest.mark.parametrize(
    ("requirements", "missing"),
    [
        ({}, ()),
        ({"gpu_info": {"model": "4090", "vram_gb": 24}}, ()),
        ({"gpu_info": {"model": "rtx"}}, ()),
        ({"gpu_info": {"model": "T4", "vram_gb": 24}}, ("resource_mismatch",)),
        ({"gpu_info": {"model": "A100"}}, ("resource_mismatch",)),
        ({"installed_models": ["yolo", "sd"]}, ()),
        ({"installed_models": ["llama"]}, ("missing_artifact: llama",)),
        ({"resources": {"cpu_cores": 8, "ram_gb": 16}}, ()),
        ({"resources": {"cpu_cores": 9}}, ("resource_mismatch",)),
        ({"resources": {"properties": {"zone": "eu"}}}, ()),
        ({"resources": {"properties": {"zone": ["us", "eu"]}}}, ()),
        ({"resources": {"properties": {"tags": "fast"}}}, ()),
        ({"resources": {"properties": {"tags": ["loud", "quiet"]}}}, ()),
        ({"resources": {"properties": {"tags": ["loud"]}}}, ("resource_mismatch",)),
        ({"resources": {"properties": {"unheard": 1}}}, ("resource_mismatch",)),
        ({"resources": {"devices": [{"type": "gpu"}, {"type": "gpu"}]}}, ()),
        ({"resources": {"devices": [{"type": "gpu"}] * 3}}, ("resource_mismatch",)),
        ({"resources": {"devices": [{"id": "1", "properties": {"formats": "int8"}}]}}, ()),
        ({"installed_artifacts": ["yolo", {"name": "sd", "properties": {"quantised": True}}]}, ()),
        ({"installed_artifacts": [{"name": "yolo", "version": "7"}]}, ("missing_artifact: yolo",)),
        ({"installed_software": {"python": "any"}}, ()),
        ({"installed_software": {"python": "3.11"}}, ("software_version_mismatch: python",)),
        ({"installed_software": {"ffmpeg": "any"}}, ("missing_software: ffmpeg",)),
        ({"skill": {"type": "vision", "languages": "en"}}, ()),
        ({"skill": {"version": "3"}}, ("skill_param_mismatch: version",)),
        ({"extra_requirements": {"websockets": False}}, ()),
        ({"extra_requirements": {"websockets": True}}, ("extra_mismatch: websockets",)),
    ],
)
def test_a_machine_lacks_what_it_does_not_have(
    requirements: dict[str, Any], missing: tuple[str, ...]
) -> None:
    assert lacks(parse(requirements), MACHINE, SKILL) == missing


@pytest.mark.parametrize(
    "requirements",
    [
        {"gpus": 1},
        {"gpu_info": {"model": 4}},
        {"resources": {"devices": {"type": "gpu"}}},
        {"resources": {"devices": [], "odd": 1}},
        {"installed_models": "yolo"},
        {"installed_software": ["python"]},
        {"resources": {"devices": [{}] * 65}},
    ],
)
def test_requirements_that_nobody_would_understand_are_refused(requirements: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        parse(requirements)


def test_the_device_that_fits_all_is_left_to_the_demand_that_needs_it() -> None:
    picky_last = {"resources": {"devices": [{"type": "gpu"}, {"type": "gpu", "model": "4090"}]}}
    assert lacks(parse(picky_last), MACHINE, SKILL) == ()


names = st.sampled_from(["a", "b", "c"])
devices = st.builds(
    Device,
    st.just("gpu"),
    st.none() | names,
    st.none(),
    st.dictionaries(names, st.integers(0, 2), max_size=2),
)


@given(st.lists(devices, max_size=4), st.lists(devices, max_size=4))
def test_devices_are_assigned_whenever_some_assignment_exists(
    demanded: list[Device], present: list[Device]
) -> None:
    def fits(device: Device, demand: Device) -> bool:
        named = demand.model is None or demand.model in (device.model or "")
        values = demand.properties.items()
        return named and all(key in device.properties and device.properties[key] >= n for key, n in values)

    possible = len(demanded) <= len(present) and any(
        all(fits(device, demand) for device, demand in zip(order, demanded, strict=False))
        for order in permutations(present, len(demanded))
    )
    given = {
        "resources": {
            "devices": [{"type": "gpu", "model": d.model, "properties": d.properties} for d in demanded]
        }
    }
    assert (lacks(parse(given), Machine(devices=tuple(present)), {}) == ()) is possible


values = st.sampled_from([None, 0, 1, 2.5, True, "x", "y", [], ["x"], ["y", 1]])
properties = st.dictionaries(names, values, max_size=2)
parts = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["", "gpu", "tpu"]),
        "model": st.sampled_from(["", "a", "B", "ab"]),
        "id": st.sampled_from(["", "0", "1"]),
        "properties": properties,
    },
)
artifacts = st.fixed_dictionaries(
    {"name": names}, optional={"version": st.sampled_from(["unknown", "1", "2"]), "properties": properties}
)
software = st.dictionaries(names, st.sampled_from(["1", "2"]), max_size=2)
demands = st.fixed_dictionaries(
    {},
    optional={
        "resources": properties
        | st.fixed_dictionaries(
            {"devices": st.lists(parts, max_size=4)}, optional={"properties": properties}
        ),
        "installed_artifacts": st.lists(artifacts | names, max_size=2),
        "installed_models": st.lists(names, max_size=2),
        "installed_software": st.dictionaries(names, st.sampled_from(["any", "1", "2"]), max_size=2),
        "skill": properties,
        "extra_requirements": properties,
    },
)
machines = st.fixed_dictionaries(
    {
        "devices": st.lists(parts, max_size=5),
        "properties": properties,
        "artifacts": st.lists(artifacts, max_size=3),
        "software": software,
        "extra": properties,
    }
)


@settings(max_examples=400)
@given(demands, machines, properties)
def test_what_is_missing_is_what_trying_all_assignments_misses(
    demanded: dict[str, Any], machine: dict[str, Any], skill: dict[str, Any]
) -> None:
    found = lacks(parse(demanded), msgspec.convert(machine, Machine), skill)
    assert sorted({*found}) == missing(demanded, machine, skill)


@pytest.mark.parametrize("present", [MAX_DEVICES, 40_000])
def test_the_longest_way_of_exchanges_takes_no_time_that_counts(present: int) -> None:
    """Each demand but the last fits two devices in a row; the last one moves all others by one."""
    devices = tuple(Device("gpu", properties={"slot": f"{n}"}) for n in range(present))
    chain = [{"properties": {"slot": [f"{n}", f"{n + 1}"]}} for n in range(MAX_DEMANDED - 1)]
    chain.append({"properties": {"slot": "0"}})
    began = time.process_time()
    assert lacks(parse({"resources": {"devices": chain}}), Machine(devices=devices), {}) == ()
    assert time.process_time() - began < 1.0
