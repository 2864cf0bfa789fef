"""What the demo works on, and how thoroughly, so that the show is long enough to watch and no longer."""

import time
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

from avtomatika.cli.serve import PIPELINE

PACKAGE: Final = Path(__file__).resolve().parents[2]
WORK: Final = 4.0
"""How many seconds of computing the analysis is to take in all, on one core of this machine."""
FEWEST_BITS, MOST_BITS = 64, 4_096
LEAST_FILES: Final = 20
LETTERS_A_WORD: Final = 8
SAMPLE_WORDS, SAMPLE_BITS = 400, 64


class Material(NamedTuple):
    """The input of the job, and the names of the files that it will find."""

    roots: list[str]
    suffixes: list[str]
    out: str
    bits: int
    files: list[str]
    said: str

    def directly(self) -> dict[str, Any]:
        """The summary, worked out in this process without any orchestrator or worker."""
        summary: dict[str, Any] = program("collecting").directly(
            self.roots, self.suffixes, self.out, self.bits
        )
        return summary


def program(name: str) -> ModuleType:
    """A module of the pipeline, loaded as the file that it is."""
    from avtomatika.blueprints.loader import load

    return load(str(PIPELINE / f"{name}.py"))


def chosen(folder: Path | None, out: Path) -> Material:
    """The files of the folder, or else the documentation of this project."""
    out = out.absolute()
    if folder is not None:
        return _material([folder.absolute()], [], out, str(folder))
    checkout = checkout_of(PACKAGE)
    if checkout is None:
        roots = [PACKAGE, *(PACKAGE.parent / name for name in ("avtomatika_worker", "rxon"))]
        return _material([r for r in roots if r.is_dir()], [".py", ".md"], out, "the installed packages")
    material = _material([checkout], [".md"], out, "the documentation of this checkout")
    if len(material.files) >= LEAST_FILES:
        return material
    return _material([checkout], [".md", ".py"], out, "the documentation and the code of this checkout")


def checkout_of(package: Path) -> Path | None:
    """The checkout that the package lies in, or None when it is an installed one."""
    for folder in package.parents:
        if (folder / "dev.py").is_file() and (folder / "packages" / "avtomatika").is_dir():
            return folder
    return None


def _material(roots: list[Path], suffixes: list[str], out: Path, said: str) -> Material:
    names = [str(root) for root in roots]
    files = program("collecting").find(names, suffixes, str(out))["files"]
    size = sum(Path(file["path"]).stat().st_size for file in files)
    return Material(names, suffixes, str(out), suitable_bits(size), [file["name"] for file in files], said)


def suitable_bits(size: int) -> int:
    """How long fingerprints must be for the analysis of *size* bytes to take about as long as we want."""
    fingerprint = program("analysis").fingerprint
    words = [str(n) for n in range(SAMPLE_WORDS)]
    took: list[float] = []
    for _ in range(3):
        began = time.perf_counter()
        fingerprint(words, SAMPLE_BITS)
        took.append(time.perf_counter() - began)
    for_one_bit = min(took) / (SAMPLE_WORDS * SAMPLE_BITS) * max(1, size / LETTERS_A_WORD)
    return min(MOST_BITS, max(FEWEST_BITS, int(WORK / for_one_bit) // 64 * 64))
