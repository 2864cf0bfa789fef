"""Keys under which `engine.app` holds parts of the node."""

from aiohttp import web

from avtomatika.app import Node
from avtomatika.engine import OrchestratorEngine

ENGINE_KEY: web.AppKey[OrchestratorEngine] = web.AppKey("engine", OrchestratorEngine)
NODE_KEY: web.AppKey[Node] = web.AppKey("node", Node)

__all__ = ["ENGINE_KEY", "NODE_KEY"]
