"""What handlers are given, under the path that blueprints import it from."""

from avtomatika.blueprints.actions import ActionFactory
from avtomatika.blueprints.client import ClientConfig
from avtomatika.blueprints.context import JobContext

__all__ = ["ActionFactory", "ClientConfig", "JobContext"]
