"""The hardware is found by itself. GPUs are those of a fake `pynvml`; processor and memory are real."""

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from avtomatika_worker import Worker, WorkerConfig
from avtomatika_worker.machine.hardware import Hardware, Machine
from avtomatika_worker.machine.profile import Profile
from avtomatika_worker.running.capacity import Openings
from avtomatika_worker.skills.hot_cache import HotCache
from avtomatika_worker.skills.skills import Catalog
from rxon.messages import DeviceUsage, HardwareDevice, Resources
from tests.unit.worker.fake_pynvml import GIB, Card, install, without

RTX = HardwareDevice("gpu", "NVIDIA GeForce RTX 4090", "0", properties={"memory_gb": 24.0})


def machine(tmp_path: Path, **files: str) -> Machine:
    """This machine, limited as control groups of these files would limit it."""
    for name, text in files.items():
        (tmp_path / name.replace("_", ".", 1)).write_text(text)
    return Machine(tmp_path)


def resources(found: Hardware, **environ: str) -> Resources:
    """What a worker with these settings registers."""
    config = WorkerConfig(environ)
    profile = Profile(config, "cpu", Catalog(Worker(config=config)), HotCache(), found)
    said = profile.registration(Openings(1)).resources
    assert said is not None
    return said


# ---------------------------------------------------------------- processor and memory


@pytest.mark.parametrize("extra", [True, False], ids=["with psutil", "without psutil"])
def test_cores_memory_and_load_are_found(
    extra: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not extra:
        without(monkeypatch, "psutil")
    this = machine(tmp_path)
    found, usage = this.hardware(), this.usage()
    assert found.cpu_cores == len(os.sched_getaffinity(0))
    assert found.ram_gb == pytest.approx(
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB, abs=0.2
    )
    assert usage is not None
    assert 0 <= usage.cpu_load_percent <= 100
    assert 0 < usage.ram_used_gb < found.ram_gb + 0.1
    assert usage.devices_usage is None


@pytest.mark.parametrize("extra", [True, False], ids=["with psutil", "without psutil"])
def test_in_a_container_its_limits_count(
    extra: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not extra:
        without(monkeypatch, "psutil")
    limits = {
        "cpu_max": "150000 100000\n",
        "memory_max": f"{GIB // 2}\n",
        "memory_current": f"{GIB // 4}\n",
        "memory_stat": f"anon 5\ninactive_file {GIB // 8}\n",
    }
    this = machine(tmp_path, **limits)
    usage = this.usage()
    assert this.hardware() == Hardware(1, 0.5)
    assert usage is not None
    assert usage.ram_used_gb == 0.12


@pytest.mark.parametrize("quota", ["max 100000", "", "nonsense", "100 0"])
def test_a_quota_that_says_nothing_limits_nothing(quota: str, tmp_path: Path) -> None:
    assert machine(tmp_path, cpu_max=quota).hardware().cpu_cores == len(os.sched_getaffinity(0))


# ---------------------------------------------------------------- GPUs


def test_gpus_are_found_with_model_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Card(), Card(name=b"Tesla T4", total=15 * GIB))
    assert Machine().hardware().gpus == (
        RTX,
        HardwareDevice("gpu", "Tesla T4", "1", properties={"memory_gb": 15.0}),
    )


def test_the_load_of_gpus_is_asked_for_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(load=3)
    install(monkeypatch, card)
    this = Machine()
    card.load, card.used = 87, 12 * GIB
    usage = this.usage()
    assert usage is not None
    assert usage.devices_usage == (DeviceUsage("0", 87.0, {"memory_used_gb": 12.0}),)


@pytest.mark.parametrize(
    ("visible", "ids"),
    [("1", ["1"]), ("0, 1", ["0", "1"]), ("", []), ("-1", []), ("GPU-beef", ["1"]), ("MIG-1", ["0", "1"])],
)
def test_only_gpus_that_handlers_can_use_are_found(
    visible: str, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, Card(uuid="GPU-cafe-1"), Card(uuid="GPU-beef-2"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [gpu.id for gpu in Machine().hardware().gpus] == ids


def test_a_gpu_that_does_not_answer_costs_only_what_it_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(used=GIB, tells_load=False)
    install(monkeypatch, card)
    this = Machine()
    usage = this.usage()
    assert usage is not None
    assert usage.devices_usage == (DeviceUsage("0", 0.0, {"memory_used_gb": 1.0}),)
    card.lost = True
    usage = this.usage()
    assert usage is not None
    assert usage.devices_usage == (DeviceUsage("0", 0.0),)


@pytest.mark.parametrize("why", ["no extra", "no driver"])
def test_without_nvidia_nothing_is_found_and_nothing_said(
    why: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if why == "no extra":
        without(monkeypatch, "pynvml")
    else:
        install(monkeypatch, Card(), driver=False)
    with caplog.at_level(logging.INFO):
        this = Machine()
        usage = this.usage()
        this.close()
    assert this.hardware().gpus == ()
    assert usage is not None
    assert usage.devices_usage is None
    assert caplog.records == []


def test_the_real_module_is_content_with_a_machine_without_a_driver(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pynvml = pytest.importorskip("pynvml")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        pass
    else:
        pytest.skip("this machine has an NVIDIA driver")
    with caplog.at_level(logging.INFO):
        assert Machine().hardware().gpus == ()
    assert caplog.records == []


def test_the_fake_has_only_functions_that_the_real_module_has() -> None:
    pynvml = pytest.importorskip("pynvml")
    from tests.unit.worker.fake_pynvml import FakePynvml

    used = [name for name in vars(FakePynvml) if name.startswith(("nvml", "NVML"))]
    assert len(used) == 9
    assert [name for name in used if not hasattr(pynvml, name)] == []


def test_the_driver_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    module = install(monkeypatch, Card())
    this = Machine()
    assert module.is_open
    this.close()
    assert not module.is_open


# ---------------------------------------------------------------- what is registered


FOUND = Hardware(16, 62.7, (RTX,))


@pytest.mark.parametrize(
    ("environ", "devices", "properties"),
    [
        ({}, (RTX,), {"cpu_cores": 16, "ram_gb": 62.7}),
        ({"CPU_CORES": "4"}, (RTX,), {"cpu_cores": 4, "ram_gb": 62.7}),
        ({"RAM_GB": "8"}, (RTX,), {"cpu_cores": 16, "ram_gb": 8.0}),
        ({"RAM_GB": "0"}, (RTX,), {"cpu_cores": 16}),
        (
            {"GPU_MODEL": "T4", "GPU_VRAM_GB": "16", "GPU_ID": "7"},
            (HardwareDevice("gpu", "T4", "7", properties={"memory_gb": 16.0}),),
            {"cpu_cores": 16, "ram_gb": 62.7},
        ),
        ({"WORKER_DEVICES": "[]"}, None, {"cpu_cores": 16, "ram_gb": 62.7}),
        (
            {"WORKER_DEVICES": '[{"type":"tpu"}]'},
            (HardwareDevice("tpu"),),
            {"cpu_cores": 16, "ram_gb": 62.7},
        ),
    ],
)
def test_variables_come_before_what_was_found(
    environ: dict[str, str], devices: Any, properties: dict[str, Any]
) -> None:
    assert resources(FOUND, **environ) == Resources(devices, properties)


def test_what_cannot_be_found_is_at_its_default() -> None:
    assert resources(Hardware()) == Resources(None, {"cpu_cores": 4})


def test_a_setting_of_the_program_comes_before_what_was_found() -> None:
    config = WorkerConfig({})
    config.CPU_CORES = 2
    profile = Profile(config, "cpu", Catalog(Worker(config=config)), HotCache(), FOUND)
    said = profile.registration(Openings(1)).resources
    assert said is not None
    assert said.properties == {"cpu_cores": 2, "ram_gb": 62.7}
