"""What a command is to serve: the blueprints or the engine of a file or a module of the user's."""

import importlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
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


def load(place: str) -> ModuleType:
    """The module of that name or in that file, run as Python would run it. Raises ConfigError."""
    is_file = place.endswith(".py") or os.sep in place or "/" in place
    path = Path(place)
    if is_file and not path.is_file():
        raise ConfigError(f"There is no file {place}.")
    folder = str(path.resolve().parent) if is_file else os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return _run_file(path) if is_file else importlib.import_module(place)
    except Exception as error:
        raise ConfigError(f"{place} cannot be loaded: {_said(error)}") from error


def _run_file(path: Path) -> ModuleType:
    # The name under which a sibling would import it, and may have; unless something else has that name.
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) == str(path.resolve()):
        return known
    name = path.stem if path.stem not in sys.modules else f"avtomatika_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is no Python file.")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _said(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = "" if not frames else f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"
    return f"{type(error).__name__}: {error}{'' if isinstance(error, SyntaxError) else where}"


def _collected(target: str, values: Iterable[object]) -> Found:
    from avtomatika.blueprints.blueprint import Blueprint
    from avtomatika.engine import OrchestratorEngine

    listed = list(values)
    engines = {id(value): value for value in listed if isinstance(value, OrchestratorEngine)}
    blueprints = {id(value): value for value in listed if isinstance(value, Blueprint)}
    if len(engines) > 1:
        raise ConfigError(f"{target} has {len(engines)} engines; name one: {target}:ATTRIBUTE.")
    if engines:
        return Found((), next(iter(engines.values())))
    if not blueprints:
        raise ConfigError(f"{target} has no Blueprint and no OrchestratorEngine at module level.")
    return Found(tuple(blueprints.values()))


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
    known = {id(blueprint) for blueprint in engine.blueprints.values()}
    for key, blueprint in blueprints.items():
        if key not in known:
            engine.register_blueprint(blueprint)
    return engine
