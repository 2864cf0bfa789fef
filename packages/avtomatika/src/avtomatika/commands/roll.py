"""The tokens of workers: one for all, and those of single workers and of groups. Kept as digests only."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from hashlib import sha256
from hmac import compare_digest
from typing import Final

PATTERN: Final = "pattern:"


class Roll:
    """Which token opens for which worker.

    A worker with a token of its own, or of a group, cannot come in with the one for all.
    """

    def __init__(self, common: str | None, own: Mapping[str, bytes] | None = None) -> None:
        """*common* opens for every worker id; *own* are the digests of the others, as for `replace`."""
        self._common = None if common is None else digest(common)
        self.replace(own or {})

    def replace(self, own: Mapping[str, bytes]) -> None:
        """From now on these digests are those of single workers, by id, and of groups, by `pattern:GLOB`.

        Of several patterns that fit, the first one counts.
        """
        self._single = {name: value for name, value in own.items() if not name.startswith(PATTERN)}
        groups = (
            (name.removeprefix(PATTERN), value) for name, value in own.items() if name.startswith(PATTERN)
        )
        self._groups = tuple(groups)

    def opens(self, token: str, worker_id: str | None) -> bool:
        """True when the token opens for this worker; without one, when it is clear for whom it does."""
        if worker_id is None:
            return self.owner(token) is not None or self._is(self._common, digest(token))
        return self.stands(digest(token), worker_id)

    def stands(self, value: bytes, worker_id: str) -> bool:
        """True when the digest is that of a token which opens for the worker."""
        return self._is(self._expected(worker_id), value)

    def owner(self, token: str) -> str | None:
        """The single worker that the token belongs to, or None."""
        value = digest(token)
        owners = [worker for worker, known in self._single.items() if compare_digest(known, value)]
        return owners[0] if len(owners) == 1 else None

    def _expected(self, worker_id: str) -> bytes | None:
        single = self._single.get(worker_id)
        if single is not None:
            return single
        fitting = (value for pattern, value in self._groups if fnmatchcase(worker_id, pattern))
        return next(fitting, self._common)

    def _is(self, expected: bytes | None, value: bytes) -> bool:
        return expected is not None and compare_digest(expected, value)


def digest(token: str) -> bytes:
    """What is kept of a token."""
    # What is no UTF-8 in a header arrives as surrogates.
    return sha256(token.encode(errors="surrogateescape")).digest()
