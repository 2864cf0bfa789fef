"""The tokens of a first run: random, kept in a file that only its owner can read, shown once."""

import os
import stat
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from avtomatika.errors import ConfigError

FILE: Final = "secrets.toml"
KINDS: Final = ("client", "worker")


def load_or_make(data_dir: Path, token: Callable[[], str]) -> tuple[Mapping[str, str], bool]:
    """The tokens by kind, and whether they were made just now.

    Raises ConfigError when the file can be read by others, or is not what this function writes.
    """
    path = data_dir / FILE
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(path), False
    tokens = {kind: f"avt_{kind}_{token()}{token()}" for kind in KINDS}
    with os.fdopen(file, "w") as out:
        out.write("# Made by the first run. Whoever has a token may act in its name.\n")
        out.writelines(f'{kind} = "{value}"\n' for kind, value in tokens.items())
        out.flush()
        os.fsync(out.fileno())
    return tokens, True


def _read(path: Path) -> Mapping[str, str]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise ConfigError(f"{path} can be read by others (mode {mode:o}); make it 600.")
    try:
        tokens = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    missing = [kind for kind in KINDS if not isinstance(tokens.get(kind), str) or not tokens[kind]]
    if missing:
        raise ConfigError(f"{path} has no token for: {', '.join(missing)}.")
    return {kind: tokens[kind] for kind in KINDS}
