"""Examples with their exact outcome, for whoever writes the other side in another language.

Each file beside this one is an object with ``about``, which says what its cases mean, and ``cases``. JSON
that is to be hashed or signed is given as text: nobody's parser has touched it.
"""

from importlib.resources import files
from typing import Any, Final

import msgspec

__all__ = ["NAMES", "load"]

NAMES: Final = (
    "addresses",
    "canonical",
    "chains",
    "ed25519",
    "freshness",
    "hashes",
    "hmac",
    "matching",
    "refused",
)


def load(name: str) -> list[dict[str, Any]]:
    """The cases of one of NAMES."""
    text = files(__name__).joinpath(f"{name}.json").read_bytes()
    return msgspec.json.decode(text, type=_File).cases


class _File(msgspec.Struct):
    about: str
    cases: list[dict[str, Any]]
