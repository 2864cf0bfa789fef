"""RXON: the protocol between Avtomatika orchestrators and their workers."""

from rxon.vocabulary import PROTOCOL_VERSION

__all__ = ["__version__"]

__version__ = PROTOCOL_VERSION
