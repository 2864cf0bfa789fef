"""How a worker presents itself on the wire, as matching knows it."""

from collections.abc import Iterable

from avtomatika.commands.presence import Introduction
from avtomatika.matching.compliance import Skill
from rxon.messages import Registration, Resources, SkillInfo, WorkerCapabilities
from rxon.requirements import Artifact, Device, Machine


def introduction(said: Registration) -> Introduction:
    """What the registration says of the worker."""
    capabilities = said.capabilities or WorkerCapabilities()
    resources = said.resources or Resources()
    devices = (Device(d.type, d.model, d.id, d.properties or {}) for d in resources.devices or ())
    artifacts = (Artifact(a.name, a.version, a.properties or {}) for a in said.installed_artifacts or ())
    return Introduction(
        type=said.worker_type,
        skills=skills_of(said.supported_skills or ()),
        costs=capabilities.cost_per_skill or {},
        machine=Machine(
            devices=tuple(devices),
            properties=resources.properties or {},
            artifacts=tuple(artifacts),
            software=said.installed_software or {},
            extra=capabilities.extra or {},
        ),
        skills_hash=said.skills_hash,
        hostname=capabilities.hostname,
    )


def skills_of(declared: Iterable[SkillInfo]) -> list[Skill]:
    """The skills that are declared."""
    return [Skill(skill.name, skill.type, skill.version, skill.properties or {}) for skill in declared]
