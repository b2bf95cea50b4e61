"""The same work in many threads at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connection


def at_once(work: Callable[[int], Any], times: int, *, refused: type[Exception]) -> list[Any]:
    """What came of it in as many threads: what it answered, or why it was refused."""

    def attempt(number: int) -> Any:
        try:
            return work(number)
        except refused as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(attempt, range(times)))
