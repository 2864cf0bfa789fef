"""Settings shared by every suite."""

from hypothesis import HealthCheck, settings

# A slow machine is no finding; a failure that nobody can repeat is no finding either.
settings.register_profile(
    "house", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")
