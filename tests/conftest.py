"""Settings shared by every suite."""

import os
import tempfile

from hypothesis import HealthCheck, settings

# Servers that a test may ask for; none is started before.
pytest_plugins = ["tests.servers.fixtures"]

# What workers leave behind for their next start is nothing to find in the next run of the tests.
_state = tempfile.TemporaryDirectory(prefix="avtomatika-state-")
os.environ["XDG_STATE_HOME"] = _state.name

# A slow machine is no finding; a failure that nobody can repeat is no finding either.
settings.register_profile(
    "house", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")
