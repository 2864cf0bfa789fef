"""What each published generation of worker says and expects, one module each.

Behind them there is one set of messages and one set of rules: a generation only translates, at the edge of a
server. Which one a worker belongs to is found out when it registers.
"""

from rxon.generations.dialect import Dialect
from rxon.generations.g1 import First
from rxon.generations.g2 import Second
from rxon.generations.g3 import Third
from rxon.generations.g4 import Fourth
from rxon.generations.g5 import Fifth
from rxon.generations.generation import Generation, of_registration, of_version

__all__ = ["Dialect", "Generation", "dialect_of", "of_registration", "of_version"]

_DIALECTS = {
    dialect.generation: dialect for dialect in (Dialect(), First(), Second(), Third(), Fourth(), Fifth())
}


def dialect_of(generation: Generation | None) -> Dialect:
    """How workers of the generation speak; of one that is not known, like ours."""
    return _DIALECTS[generation or Generation.OURS]
