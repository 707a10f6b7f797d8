"""OpenMP's threads that llama.cpp computes with: each thread that calls it has some, and can give them back

GNU's library counts those of all callers. While there are more than processors, nobody waits for the others of a step
by looking, but asleep: a decode of few rows then takes up to five times as long, and a picture a tenth longer.
"""

import ctypes
from collections.abc import Callable
from functools import cache

from llama_cpp import llama_cpp as ll

_SOFT = 1  # omp_pause_soft: what the threads have of their own is kept


def give_back_threads() -> None:
    """End those that wait for the calling thread's next computation, which makes new ones: 0.1 ms each way.

    Without GNU's OpenMP (macOS, MSVC) nothing is done: there is no such count.
    """
    if (pause := _pause()) is not None:
        pause(_SOFT)


@cache
def _pause() -> Callable[[int], int] | None:
    """From the library that llama.cpp is linked to, which may be one of its wheel's own."""
    library: ctypes.CDLL = ll._lib
    if not hasattr(library, "omp_pause_resource_all") or hasattr(library, "__kmpc_fork_call"):
        return None  # LLVM's has the names of GNU's too, and others among them
    pause = library.omp_pause_resource_all
    pause.argtypes, pause.restype = [ctypes.c_int], ctypes.c_int
    found: Callable[[int], int] = pause
    return found
