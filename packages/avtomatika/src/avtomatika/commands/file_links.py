"""Links by which whoever has one reads or writes a file for a while, where the storage itself has none."""

from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest
from hmac import new as hmac
from typing import Final
from urllib.parse import quote

from avtomatika.errors import Forbidden
from avtomatika.kernel.ids import JobId
from avtomatika.kernel.time import SECOND
from avtomatika.ports.clock import Clock

PLACE: Final = "/_public/files"
_DIGITS: Final = 12


class FileLinks:
    """Signs links, and knows its own. *base* tells where the node is reached."""

    def __init__(self, clock: Clock, key: str, base: Callable[[], str]) -> None:
        self._clock, self._key, self._base = clock, key.encode(), base

    def url(self, method: str, job: JobId, name: str, seconds: int) -> str:
        """The link for the method, that holds for so long."""
        expires = self._clock.now() // SECOND + seconds
        query = f"expires={expires}&signature={self._signature(method, job, name, expires)}"
        return f"{self._base()}{PLACE}/{quote(job, safe='')}/{quote(name)}?{query}"

    def check(self, method: str, job: str, name: str, expires: str, signature: str) -> None:
        """The link is ours and still holds. Raises Forbidden."""
        plain = expires.isascii() and expires.isdecimal() and len(expires) <= _DIGITS
        until = int(expires) if plain else 0
        known = self._signature(method, job, name, until)
        right = compare_digest(known.encode(), signature.encode(errors="surrogatepass"))
        if not right or until * SECOND <= self._clock.now():
            raise Forbidden("The link does not hold, or not any more.")

    def _signature(self, method: str, job: str, name: str, expires: int) -> str:
        signed = f"file:{method}:{job}:{expires}:{name}".encode(errors="surrogatepass")
        return hmac(self._key, signed, sha256).hexdigest()
