"""What a worker is and can do."""

from typing import Any

import msgspec

from rxon.messages.wire import Mapped, Name
from rxon.vocabulary import SCHEMA_DIALECT

__all__ = [
    "DeviceUsage",
    "FileMetadata",
    "HardwareDevice",
    "InstalledArtifact",
    "InstalledModel",
    "Resources",
    "ResourcesUsage",
    "SecurityContext",
    "SkillInfo",
    "WorkerCapabilities",
]


class SkillInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """A skill that a worker offers. ``name`` is what tasks ask for."""

    name: Name
    type: str | None = None
    description: str | None = None
    version: str | None = None
    input_schema: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None
    events_schema: dict[str, dict[str, Any]] | None = None
    output_statuses: tuple[str, ...] | None = None
    schema_dialect: str = SCHEMA_DIALECT
    properties: dict[str, Any] | None = None


class HardwareDevice(msgspec.Struct, frozen=True, omit_defaults=True):
    """One device, such as a GPU."""

    type: str
    model: str | None = None
    id: str | None = None
    properties: dict[str, Any] | None = None
    metrics: dict[str, Any] | None = None


class Resources(msgspec.Struct, frozen=True, omit_defaults=True):
    """The machine: devices, and properties such as ``cpu_cores`` and ``ram_gb``."""

    devices: tuple[HardwareDevice, ...] | None = None
    properties: dict[str, Any] | None = None


class DeviceUsage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Load of one device, in percent."""

    unit_id: str
    load_percent: float
    metrics: dict[str, Any] | None = None


class ResourcesUsage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Load of the machine: CPU in percent, memory in GiB."""

    cpu_load_percent: float = 0.0
    ram_used_gb: float = 0.0
    devices_usage: tuple[DeviceUsage, ...] | None = None


class InstalledArtifact(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model, data set or other artifact present on the worker."""

    name: str
    version: str = "unknown"
    type: str | None = None
    properties: dict[str, Any] | None = None


class InstalledModel(msgspec.Struct, frozen=True):
    """A model present on a worker of the first two generations."""

    name: str
    version: str = "unknown"


class WorkerCapabilities(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the worker is and what it costs, per skill and second."""

    hostname: str = "unknown"
    ip_address: str = "0.0.0.0"  # noqa: S104 - means "unknown" here, nothing binds to it
    cost_per_skill: Mapped[float] | None = None
    s3_config_hash: str | None = None
    extra: dict[str, Any] | None = None


class SecurityContext(msgspec.Struct, frozen=True, omit_defaults=True):
    """Signature of the message that carries it, and who stands behind it.

    ``identity_chain`` is through whose hands it came: first who did the work, last who sends the message.
    ``hops`` has the signature of each of them; a chain without it proves nothing.
    """

    signature: str | None = None
    signer_id: str | None = None
    identity_chain: tuple[str, ...] | None = None
    metadata: dict[str, Any] | None = None
    hops: tuple[str, ...] | None = None


class FileMetadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """A payload file kept outside the message. ``size`` is in bytes."""

    uri: str
    size: int = 0
    etag: str | None = None
    metadata: dict[str, Any] | None = None
