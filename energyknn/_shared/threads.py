"""Threads: how many a search may use, and one way to run slices of work on them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from energyknn._shared.checks import check_integer
from energyknn.errors import ParameterError


def count_threads(n_jobs: int | None) -> int:
    """Return how many threads a search may use.

    Parameters
    ----------
    n_jobs : int or None
        A number of threads; -1 for every core that this process may use, -2 for all but one, and so on. None
        stands for 1 inside a joblib worker, whose siblings use the other cores, and elsewhere for every core,
        but no more than the thread pools of the process (BLAS, OpenMP) are limited to: Ray and joblib set
        those limits in their workers.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    TypeError
        If `n_jobs` is not an integer or None.
    ValueError
        If `n_jobs` is 0.
    """
    if n_jobs is None:
        from joblib import cpu_count
        from joblib.parallel import get_active_backend
        from threadpoolctl import threadpool_info  # type: ignore[import-untyped]

        if get_active_backend()[0].nesting_level:
            return 1
        limits: list[int] = [pool["num_threads"] for pool in threadpool_info()]
        return max(1, min([int(cpu_count()), *limits]))
    number = check_integer(n_jobs, name="n_jobs", rule="an integer or None")
    if number == 0:
        message = "n_jobs is 0. It must be a number of threads, -1 for every core, or None."
        raise ParameterError(message)
    if number > 0:
        return number
    from joblib import cpu_count

    return max(1, int(cpu_count()) + 1 + number)


def limiting_pools(n_threads: int, *, of: str = "sklearn") -> AbstractContextManager[Any]:
    """Limit the thread pools of BLAS and OpenMP, and give them back as they were.

    Parameters
    ----------
    n_threads : int
        At least 1.
    of : str, default="sklearn"
        The package that uses them, which is loaded.

    Returns
    -------
    context manager
        To do the work in.

    Notes
    -----
    The pools are looked for once for each package, as that takes longer than a small search.
    """
    limits: AbstractContextManager[Any] = _find_pools(of).limit(limits=n_threads)
    return limits


@cache
def _find_pools(_package: str) -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def run_slices(work: Callable[[Any], object], slices: Iterable[Any], *, n_threads: int) -> None:
    """Call `work` on every slice, on `n_threads` threads that take the next slice when they are free.

    Parameters
    ----------
    work : callable
        Takes a slice and writes its result where no other slice does.
    slices : iterable
        Short pieces of work: after an interrupt, those that are running end, and no other starts.
    n_threads : int
        At least 1. With 1 the calling thread does the work.

    Raises
    ------
    Exception
        The first that `work` raised.
    """
    queue = deque(slices)

    def drain() -> None:
        while queue:
            try:
                item = queue.popleft()
            except IndexError:  # another thread took the last
                return
            work(item)

    n_threads = min(n_threads, len(queue))
    if n_threads == 1:
        drain()
        return
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            for future in [pool.submit(drain) for _ in range(n_threads)]:
                future.result()
        finally:
            queue.clear()
