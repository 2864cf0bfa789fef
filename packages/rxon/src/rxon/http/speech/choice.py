"""How a server wants to be spoken to, and the keys that it may verify with."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from rxon.http.keys import Keys
from rxon.http.speech.fifth import FifthGeneration
from rxon.http.speech.fourth import EarlyFourthGeneration, FourthGeneration
from rxon.http.speech.signed import Pen, Signed
from rxon.http.speech.speech import Memory, Speech
from rxon.http.speech.third import ThirdGeneration, key_of_own_token
from rxon.http.speech.today import SignedToday, Today, Unknown

__all__ = ["speeches", "keeping"]

_BETA: Final = re.compile(r"1\.0b(?P<number>[0-9]{1,4})")


def speeches(version: str | None, keys: Keys, pen: Pen, memory: Memory) -> list[Speech]:
    """How a server of protocol ``version`` may want to be spoken to; the first that works is right.

    While it has not named one: plainly, as it does so when it refuses that; and if it does not, in all ways.
    One of today is spoken to plainly, and with signatures if it refuses that.
    """
    if version is None:
        return [Unknown(), *_signing(FifthGeneration, keys, pen, memory), *_third(keys, pen, memory)]
    beta = _BETA.match(version)
    if beta is None and not version.startswith("1."):
        return [Today(), *(SignedToday(each) for each in _pens(keys, pen))]
    # Without a key nothing can be signed, and the server says so.
    return _earlier(15 if beta is None else int(beta["number"]), keys, pen, memory) or [Unknown()]


def keeping(pen: Pen | None, among: Sequence[Speech]) -> Speech:
    """The one of ``among`` that signs as before, or the first."""
    same = (one for one in among if isinstance(one, Signed) and one.pen == pen)
    return next(same, among[0])


def _earlier(number: int, keys: Keys, pen: Pen, memory: Memory) -> list[Speech]:
    if number <= 7:
        return _third(keys, pen, memory)
    return _signing(_later(number), keys, pen, memory)


def _later(number: int) -> type[Signed]:
    if number >= 15:
        return FifthGeneration
    return FourthGeneration if number == 14 else EarlyFourthGeneration


def _signing(kind: type[Signed], keys: Keys, pen: Pen, memory: Memory) -> list[Speech]:
    return [kind(each, memory) for each in _pens(keys, pen)]


def _pens(keys: Keys, pen: Pen) -> list[Pen]:
    tokens = dict.fromkeys((keys.token, keys.shared))
    return [msgspec.structs.replace(pen, registration_key=token, key=token) for token in tokens if token]


def _third(keys: Keys, pen: Pen, memory: Memory) -> list[Speech]:
    found = _signing(ThirdGeneration, Keys(keys.token), pen, memory)
    if keys.shared and keys.shared != keys.token:
        own = key_of_own_token(keys.token)
        found.append(
            ThirdGeneration(msgspec.structs.replace(pen, registration_key=keys.shared, key=own), memory)
        )
    return found
