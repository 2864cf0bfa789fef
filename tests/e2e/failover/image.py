"""Everything that a server keeps for a store, read within one moment."""

from collections.abc import Iterator
from typing import Any

import redis

from tests.servers.valkey import ValkeyServer

READ = """
local found = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local kind, value = redis.call('TYPE', key).ok, nil
  if kind == 'hash' then
    value = redis.call('HGETALL', key)
  elseif kind == 'zset' then
    value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  else
    value = redis.call('GET', key)
  end
  found[#found + 1] = { string.sub(key, #ARGV[1]), kind, value }
end
return found
"""

Hash = dict[str, bytes]
Order = dict[bytes, float]


class Image:
    """What was there, under the names that prelude.lua lists."""

    def __init__(self, rows: list[list[Any]]) -> None:
        self._hashes: dict[str, Hash] = {}
        self._orders: dict[str, Order] = {}
        self._texts: dict[str, bytes] = {}
        for name, kind, value in rows:
            if kind == b"hash":
                pairs = zip(value[::2], value[1::2], strict=True)
                self._hashes[name.decode()] = {field.decode(): held for field, held in pairs}
            elif kind == b"zset":
                pairs = zip(value[::2], value[1::2], strict=True)
                self._orders[name.decode()] = {member: float(score) for member, score in pairs}
            else:
                self._texts[name.decode()] = value

    def hash(self, name: str) -> Hash:
        """The hash of that name; an empty one when there is none."""
        return self._hashes.get(name, {})

    def order(self, name: str) -> Order:
        """The members of the sorted set of that name with their scores; none when it is not there."""
        return self._orders.get(name, {})

    def text(self, name: str) -> bytes | None:
        """The string of that name."""
        return self._texts.get(name)

    def hashes(self, family: str) -> Iterator[tuple[str, Hash]]:
        """The hashes whose names begin with *family*, by the rest of their names."""
        return _of(self._hashes, family)

    def orders(self, family: str) -> Iterator[tuple[str, Order]]:
        """The sorted sets whose names begin with *family*, by the rest of their names."""
        return _of(self._orders, family)

    def texts(self, family: str) -> Iterator[tuple[str, bytes]]:
        """The strings whose names begin with *family*, by the rest of their names."""
        return _of(self._texts, family)


def _of(all_: dict[str, Any], family: str) -> Iterator[tuple[str, Any]]:
    return ((name.removeprefix(family), held) for name, held in all_.items() if name.startswith(family))


def image_of(server: ValkeyServer, prefix: str) -> Image:
    """What the server keeps under the prefix. It does nothing else meanwhile."""
    with redis.Redis(port=server.port, socket_timeout=30.0) as client:
        return Image(client.eval(READ, 1, f"{{{prefix}}}", f"{{{prefix}}}:*"))
