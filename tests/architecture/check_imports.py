"""Check the import contracts of importlinter.toml against the modules that exist.

import-linter refuses a contract that names a missing module. The tree is drawn ahead of the code, so names
of ours that are not there yet are left out here, and printed, so that nobody takes a misspelt contract for a
kept one.
"""

import re
import sys
import tempfile
from pathlib import Path

from importlinter.cli import lint_imports

CONTRACTS = Path(__file__).with_name("importlinter.toml")
PACKAGES = Path(__file__).parents[2] / "packages"
OUR_NAME = re.compile(r'"((?:rxon|avtomatika_worker|avtomatika)(?:\.\w+)*)"(?:\s*,)?')


def exists(module: str) -> bool:
    """True if the module is a file or a package of one of our source folders."""
    path = module.replace(".", "/")
    return any(
        (source / f"{path}.py").is_file() or (source / path / "__init__.py").is_file()
        for source in PACKAGES.glob("*/src")
    )


def without_missing(text: str) -> tuple[str, list[str]]:
    """The contracts without the modules that do not exist, and the names that were left out."""
    missing = sorted({name for name in OUR_NAME.findall(text) if not exists(name)})
    kept = OUR_NAME.sub(lambda match: "" if match[1] in missing else match[0], text)
    return kept, missing


def main() -> int:
    """The contracts have been checked; 0 if all are kept."""
    text, missing = without_missing(CONTRACTS.read_text("utf-8"))
    if missing:
        print("named in the contracts, not there yet:", ", ".join(missing))
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / CONTRACTS.name
        config.write_text(text, "utf-8")
        return int(lint_imports(config_filename=str(config)))


if __name__ == "__main__":
    sys.exit(main())
