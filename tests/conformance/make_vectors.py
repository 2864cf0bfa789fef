#!/usr/bin/env python3
"""Makes the vectors of `rxon.testing.vectors`: `python3 tests/conformance/make_vectors.py`.

What is expected comes from the standard library, from the reference text of Ed25519 and from trying all
assignments: nothing here imports the code that the vectors judge. The same seed makes the same files.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "packages" / "rxon" / "src" / "rxon" / "testing" / "vectors"
sys.path.insert(0, str(ROOT))

from tests.conformance import cases_of_matching, cases_of_signing, cases_of_texts  # noqa: E402 - path above

ABOUT = {
    "addresses": "The parts of an address of a file, or null where it is refused.",
    "canonical": "The canonical text of the JSON text in `json`, in the form `form`, without the members in "
    "`without` of the outermost object.",
    "chains": "Signatures of chains. `whole`: of the chain alone. `hop`: what the last hop of `chain` signs "
    "for the event in `json`. Keys and signatures as in hmac and ed25519.",
    "ed25519": "The signature of the JSON text in `json`, leaving out `security`, `_signature` and the "
    "members in `ignore`. `message` is what is signed. The keys are for these examples only.",
    "freshness": "Whether a message of the moment `timestamp` is fresh at the moment `now`.",
    "hashes": "`skills_hash` and `s3_config_hash` of their arguments.",
    "hmac": "The HMAC-SHA256 with `key` of the JSON text in `json`, leaving out `security`, `_signature` and "
    "the members in `ignore`. `message` is what is signed.",
    "matching": "What `machine` and `skill` lack of `requirements`; each reason once, sorted.",
    "refused": "Texts, as hexadecimal digits of their bytes, of which there is no canonical form.",
}


def files() -> dict[str, str]:
    """The text of each file, by its name."""
    made = {
        "addresses": cases_of_texts.addresses(),
        "canonical": cases_of_texts.canonical(),
        "chains": cases_of_signing.chains(),
        "ed25519": cases_of_signing.ed25519(),
        "freshness": cases_of_texts.freshness(),
        "hashes": cases_of_signing.hashes(),
        "hmac": cases_of_signing.hmacs(),
        "matching": cases_of_matching.matching(),
        "refused": cases_of_texts.refused(),
    }
    return {name: _text(ABOUT[name], cases) for name, cases in made.items()}


def _text(about: str, cases: list[dict[str, object]]) -> str:
    lines = ",\n".join(json.dumps(case) for case in cases)
    return f'{{"about": {json.dumps(about)}, "cases": [\n{lines}\n]}}\n'


if __name__ == "__main__":
    for name, text in files().items():
        (FOLDER / f"{name}.json").write_text(text, "ascii")
        print(f"{name}: {text.count(chr(10)) - 2} cases")
