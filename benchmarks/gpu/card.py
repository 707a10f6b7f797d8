"""The graphics card as its driver sees it, by ctypes: memory in use (NVML), and copies within its memory (CUDA).

Where there is no card or no driver, everything here is None.
"""

import ctypes
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Final

_RUNTIMES: Final = ("libcudart.so.13", "libcudart.so.12", "libcudart.so")
_WITHIN: Final = 3  # cudaMemcpyDeviceToDevice
COPY: Final = 4 << 30  # bytes copied at once


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_uint64), ("free", ctypes.c_uint64), ("used", ctypes.c_uint64))


@dataclass(frozen=True, slots=True)
class Card:
    name: str
    driver: str
    total: int  # bytes
    used: int  # bytes, by whomever


def card() -> Card | None:
    """The first one, now."""
    found = _nvml()
    if found is None:
        return None
    nvml, device = found
    memory, name, driver = _Memory(), ctypes.create_string_buffer(96), ctypes.create_string_buffer(96)
    nvml.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory))
    nvml.nvmlDeviceGetName(device, name, len(name))
    nvml.nvmlSystemGetDriverVersion(driver, len(driver))
    return Card(name.value.decode(), driver.value.decode(), memory.total, memory.used)


def used() -> int | None:
    """Bytes of its memory in use, by whomever. NVML makes no context, so that asking takes none."""
    now = card()
    return None if now is None else now.used


def settled(goal: int | None, patience_s: float = 10.0) -> int | None:
    """`used()`, once it is not over `goal` by more than a few MiB: the driver clears up behind a process that ended."""
    end = time.monotonic() + patience_s
    while (now := used()) is not None and goal is not None and now > goal + (8 << 20) and time.monotonic() < end:
        time.sleep(0.05)
    return now


def copy_speed(size: int = COPY, rounds: int = 20) -> float | None:
    """Bytes a second, read and written, of copies within the card's memory. Makes a context in this process."""
    cuda = cuda_runtime()
    if cuda is None:
        return None
    source, target = allocate(cuda, size), allocate(cuda, size)
    best = 0.0
    for _ in range(3):
        cuda.cudaMemcpy(target, source, ctypes.c_size_t(size), _WITHIN)
        _check(cuda.cudaDeviceSynchronize())
        start = time.perf_counter()
        for _ in range(rounds):
            cuda.cudaMemcpy(target, source, ctypes.c_size_t(size), _WITHIN)
        _check(cuda.cudaDeviceSynchronize())
        best = max(best, 2 * size * rounds / (time.perf_counter() - start))
    return best


def allocate(cuda: ctypes.CDLL, size: int) -> ctypes.c_void_p:
    """So many bytes of the card's memory, filled."""
    pointer = ctypes.c_void_p()
    _check(cuda.cudaMalloc(ctypes.byref(pointer), ctypes.c_size_t(size)))
    _check(cuda.cudaMemset(pointer, 85, ctypes.c_size_t(size)))
    _check(cuda.cudaDeviceSynchronize())
    return pointer


def cuda_runtime() -> ctypes.CDLL | None:
    for name in _RUNTIMES:
        with suppress(OSError):
            cuda = ctypes.CDLL(name)
            count = ctypes.c_int()
            return cuda if cuda.cudaGetDeviceCount(ctypes.byref(count)) == 0 and count.value else None
    return None


def _check(code: int) -> None:
    if code:
        raise SystemExit(f"CUDA's runtime answered {code}")


@cache
def _nvml() -> tuple[ctypes.CDLL, ctypes.c_void_p] | None:
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    device = ctypes.c_void_p()
    if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(device)):
        return None
    return nvml, device
