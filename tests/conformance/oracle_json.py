"""The canonical form by the standard library, and JSON texts to try it with."""

import json
from decimal import Decimal
from random import Random
from typing import Any

Json = Any

KEEPS = {  # form: nulls in objects, nulls in arrays, floats of integral value
    "r14": (False, True, False),
    "r11": (False, False, False),
    "r7": (True, True, True),
    "o21": (False, False, True),
}


def canonical_text(text: str, form: str = "r14", without: tuple[str, ...] = ()) -> str:
    """The canonical form of a JSON text."""
    value = json.loads(text)
    if isinstance(value, dict):
        value = {name: value[name] for name in value if name not in without}
    return write(value, KEEPS[form])


def write(value: Json, keeps: tuple[bool, bool, bool]) -> str:
    """The value, written in the canonical way."""
    if isinstance(value, dict):
        names = sorted(name for name in value if keeps[0] or value[name] is not None)
        return "{" + ",".join(f"{write(n, keeps)}:{write(value[n], keeps)}" for n in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(write(item, keeps) for item in value if keeps[1] or item is not None) + "]"
    if isinstance(value, float):
        return number(value, keeps[2])
    return json.dumps(value, ensure_ascii=False)


def number(value: float, integral_stays: bool) -> str:
    """A float, written in the canonical way: the fewest digits that mean it, laid out as documented."""
    exact = Decimal(value)
    if not integral_stays and exact == exact.to_integral_value() and -(2**63) <= exact < 2**64:
        return str(int(exact))
    if value == 0:
        return repr(value)
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    shown = "".join(map(str, digits))
    scale = len(shown) + int(exponent)  # the value is 0.SHOWN x 10^scale
    minus = "-" if sign else ""
    if -5 < scale <= 16:
        if scale <= 0:
            return minus + "0." + "0" * -scale + shown
        whole, rest = shown[:scale].ljust(scale, "0"), shown[scale:] or "0"
        return f"{minus}{whole}.{rest}"
    rest = f".{shown[1:]}" if len(shown) > 1 else ""
    return f"{minus}{shown[0]}{rest}e{scale - 1}"


NAMES = [
    "a",
    "b",
    "Z",
    "_x",
    "ключ",
    "é",
    "z\u0301",
    "\U0001f600",
    "\uffff",
    "a.b",
    "",
    "security",
    "10",
    "9",
]
WORDS = [
    "",
    "x",
    "naïve",
    "日本語",
    "\U0001f680 up",
    'q"\\/',
    "\b\f\n\r\t",
    "\x00\x1f\x7f",
    "\u2028",
    "null",
    "1.0",
]


def random_text(chance: Random, depth: int = 3) -> str:
    """A JSON text that spells the same things in many ways."""
    kind = chance.randrange(10 if depth else 7)
    if kind >= 8:
        return _array(chance, depth)
    if kind == 7:
        return random_object(chance, depth)
    if kind in (0, 1):
        return chance.choice(["null", "true", "false", "0", "-0", "-0.0", "1.0", "1E2", "25e-1", "0.0"])
    if kind in (2, 3):
        return _number(chance)
    return _string(chance, chance.choice(WORDS))


def random_object(chance: Random, depth: int = 3) -> str:
    """An object, among whose members may be two of one name."""
    members: list[str] = []
    for _ in range(chance.randrange(6)):
        name, value = _string(chance, chance.choice(NAMES)), random_text(chance, depth - 1)
        members.append(f"{name}{_blank(chance)}:{_blank(chance)}{value}")
    return "{" + _blank(chance) + f"{_blank(chance)},".join(members) + "}"


def _array(chance: Random, depth: int) -> str:
    items = [random_text(chance, depth - 1) for _ in range(chance.randrange(5))]
    return "[" + f",{_blank(chance)}".join(items) + "]"


def _number(chance: Random) -> str:
    return chance.choice(
        [
            lambda: str(chance.randrange(-(10**6), 10**6)),
            lambda: str(chance.getrandbits(chance.choice([53, 63, 64, 90, 300]))),
            lambda: repr(chance.uniform(-1e3, 1e3)),
            lambda: repr(chance.uniform(1, 10) * 10.0 ** chance.randrange(-30, 40)),
            lambda: f"{chance.randrange(10**6)}.{chance.randrange(1000):03}e{chance.randrange(-9, 9)}",
        ]
    )()


def _string(chance: Random, text: str) -> str:
    return json.dumps(text, ensure_ascii=chance.random() < 0.5)


def _blank(chance: Random) -> str:
    return chance.choice(["", "", " ", "\n\t", "  "])
