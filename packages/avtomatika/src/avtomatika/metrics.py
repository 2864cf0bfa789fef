"""The metrics of the process: `REGISTRY`, to which programs can add their own, and its text."""

from prometheus_client import generate_latest

from avtomatika.http.metrics import REGISTRY

__all__ = ["REGISTRY", "generate_latest"]
