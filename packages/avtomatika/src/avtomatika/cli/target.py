"""What a command is to serve: the blueprints or the engine of a file or a module of the user's."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from avtomatika.errors import ConfigError

if TYPE_CHECKING:
    from avtomatika.blueprints.blueprint import Blueprint
    from avtomatika.engine import OrchestratorEngine

ATTRIBUTE: Final = re.compile(r"(?P<place>..+):(?P<attribute>[A-Za-z_]\w*(?:\.\w+)*)")


class Found(NamedTuple):
    """Blueprints to serve, or the engine that has them already."""

    blueprints: tuple["Blueprint", ...]
    engine: "OrchestratorEngine | None" = None


def find(target: str) -> Found:
    """What `FILE_OR_MODULE` or `FILE_OR_MODULE:attribute` names. Raises ConfigError."""
    from avtomatika.blueprints.loader import load

    match = ATTRIBUTE.fullmatch(target)
    place, attribute = (match["place"], match["attribute"]) if match else (target, None)
    module = load(place)
    if attribute is None:
        return _collected(target, vars(module).values())
    value: Any = module
    for name in attribute.split("."):
        if not hasattr(value, name):
            raise ConfigError(f"{place} has no '{attribute}'.")
        value = getattr(value, name)
    # Whatever is in a list is looked at when it is sorted out.
    several = cast("Iterable[object]", value) if isinstance(value, list | tuple) else [value]
    return _collected(target, several)


def _collected(target: str, values: Iterable[object]) -> Found:
    from avtomatika.blueprints.loader import blueprints_of
    from avtomatika.engine import OrchestratorEngine

    listed = list(values)
    engines = {id(value): value for value in listed if isinstance(value, OrchestratorEngine)}
    blueprints = blueprints_of(listed)
    if len(engines) > 1:
        raise ConfigError(f"{target} has {len(engines)} engines; name one: {target}:ATTRIBUTE.")
    if engines:
        return Found((), next(iter(engines.values())))
    if not blueprints:
        raise ConfigError(f"{target} has no Blueprint and no OrchestratorEngine at module level.")
    return Found(blueprints)


def engine_of(targets: Sequence[str], options: Mapping[str, str]) -> "OrchestratorEngine":
    """One engine with everything that the targets name; *options* overrule its settings.

    Raises ConfigError, BlueprintError.
    """
    from avtomatika.config import Config
    from avtomatika.engine import OrchestratorEngine

    found = [find(target) for target in targets]
    engines = {id(each.engine): each.engine for each in found if each.engine is not None}
    if len(engines) > 1:
        raise ConfigError("The files have several engines; serve one of them.")
    engine = next(iter(engines.values()), None)
    config = Config() if engine is None else engine.config
    for name, value in options.items():
        setattr(config, name, value)
    engine = engine or OrchestratorEngine(config=config)
    blueprints = {id(blueprint): blueprint for each in found for blueprint in each.blueprints}
    known = {id(blueprint) for blueprint in engine.editions}
    for key, blueprint in blueprints.items():
        if key not in known:
            engine.register_blueprint(blueprint)
    return engine
