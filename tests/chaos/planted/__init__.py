"""Faults that are planted in the code of the orchestrators, to show that runs find such faults.

Each is planted in a process of its own by `CHAOS_PLANT`, before anything runs.
"""

from tests.chaos.planted import in_commands, in_leases, in_news, in_stores
from tests.chaos.planted.fault import PLANTED, Planted, plant

__all__ = ["PLANTED", "Planted", "in_commands", "in_leases", "in_news", "in_stores", "plant"]
