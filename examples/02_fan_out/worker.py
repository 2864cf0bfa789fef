"""Counts primes."""

from collections.abc import Callable

from avtomatika_worker import Worker
from avtomatika_worker.types import InvalidInputError

worker = Worker(worker_type="mathematician")


@worker.skill
def count_primes(low: int, high: int, is_cancelled: Callable[[], bool]) -> dict[str, int]:
    """How many primes there are from *low* up to, not including, *high*.

    No coroutine: it runs in a thread, and looks now and then whether it is still wanted.
    """
    if low > high:
        raise InvalidInputError(f"The piece from {low} to {high} runs backwards.")
    count = 0
    for number in range(max(2, low), high):
        if number % 1_000 == 0 and is_cancelled():
            break
        count += all(number % divisor for divisor in range(2, int(number**0.5) + 1))
    return {"primes": count}


if __name__ == "__main__":
    worker.run()
