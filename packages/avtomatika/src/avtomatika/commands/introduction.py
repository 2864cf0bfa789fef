"""How a worker presents itself on the wire, as matching knows it."""

from collections.abc import Collection, Iterable

from avtomatika.commands.declared import declared_by
from avtomatika.commands.presence import Introduction, Worker
from avtomatika.matching.compliance import Skill
from rxon.generations.generation import Generation
from rxon.messages import Heartbeat, Registration, Resources, SkillInfo, WorkerCapabilities
from rxon.requirements import Artifact, Device, Machine


def introduction(said: Registration, generation: Generation = Generation.OURS) -> Introduction:
    """What the registration says of the worker, which speaks like its generation."""
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
        hot=frozenset(said.hot_skills or ()),
        capacity=said.max_concurrent_tasks,
        skills_hash=said.skills_hash,
        hostname=capabilities.hostname,
        generation=generation,
        declared=declared_by(said.supported_skills or ()),
    )


def skills_of(declared: Iterable[SkillInfo]) -> list[Skill]:
    """The skills that are declared."""
    return [Skill(skill.name, skill.type, skill.version, skill.properties or {}) for skill in declared]


def hot_of(beat: Heartbeat, known: Collection[str]) -> Collection[str] | None:
    """The skills that the worker can begin with at once, or None when the heartbeat says nothing of it.

    A worker that names only the models it has loaded has those of its *known* skills hot that need no
    others; a skill that needs none is hot when its own name is among them.
    """
    if beat.hot_skills is not None or beat.hot_cache is None:
        return beat.hot_skills
    needs, loaded = beat.skill_dependencies or {}, set(beat.hot_cache)
    return {skill for skill in known if loaded.issuperset(needs.get(skill) or (skill,))}


def is_another(beat: Heartbeat, worker: Worker) -> bool:
    """True when the worker is not as it was before, as far as others would notice."""
    hot = hot_of(beat, worker.profile.skills)
    return beat.status not in (None, worker.status) or (
        hot is not None and worker.profile.hot != frozenset(hot)
    )


def usage_of(beat: Heartbeat) -> dict[str, float] | None:
    """How loaded the machine of the worker is, or None when the heartbeat says nothing of it."""
    said = beat.usage
    if said is None:
        return None
    return {"cpu_load_percent": said.cpu_load_percent, "ram_used_gb": said.ram_used_gb}
