"""What backends and blueprints are tested with. Nothing of the running system imports it.

The contract suites are classes to derive from and need pytest: `avtomatika.testing.store_contract`.
"""

from avtomatika.testing.contract.values import CountedTokens, VirtualClock

__all__ = ["CountedTokens", "VirtualClock"]
