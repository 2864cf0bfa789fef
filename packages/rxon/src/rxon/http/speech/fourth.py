"""The fourth generation, 1.0b22 to 1.0b27, with the protocol from 1.0b8 to 1.0b14."""

from rxon.canonical import Form
from rxon.http.speech.signed import Signed

__all__ = ["EarlyFourthGeneration", "FourthGeneration"]


class FourthGeneration(Signed):
    """Nothing but the signature is special: the messages of today are those of its last release."""


class EarlyFourthGeneration(Signed):
    """Before 1.0b14 of the protocol, arrays were signed without nulls too."""

    form = Form.R11
