"""ggml's device registry: the GPUs by name, and the buffer types that `--override-tensor` may name."""

import ctypes
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ggufrun.errors import OptionError
from ggufrun.llama import library
from ggufrun.llama.library import ggml

_CPU, _INTEGRATED = 0, 2  # ggml_backend_dev_type
_TENSOR_HINT = 'Write it as "regex=buffer type".'


@dataclass(frozen=True, slots=True)
class Device:
    """One of ggml's devices. Memory in bytes, as its driver reports it."""

    name: str  # what --device takes, e.g. "CUDA0"
    description: str
    handle: int
    is_cpu: bool
    free: int
    total: int
    is_integrated: bool = False  # a GPU without memory of its own: it takes the machine's


def devices() -> list[Device]:
    """All devices, the CPU included."""
    library.start()
    return [_device(ggml("ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t)(i)) for i in range(_count())]


def backends() -> list[str]:
    """The names of the backends that this llama.cpp was compiled with, or has loaded ("CPU", "CUDA")."""
    library.start()
    count = int(ggml("ggml_backend_reg_count", ctypes.c_size_t)())
    get = ggml("ggml_backend_reg_get", ctypes.c_void_p, ctypes.c_size_t)
    name = ggml("ggml_backend_reg_name", ctypes.c_char_p, ctypes.c_void_p)
    return [name(get(i)).decode() for i in range(count)]


def device_handles(names: Sequence[str]) -> list[int]:
    """Handles of the devices that the weights may go to; ("none",) gives no device. OptionError for an unknown name."""
    if tuple(names) == ("none",):
        return []
    known = {device.name: device.handle for device in devices() if not device.is_cpu}
    for name in names:
        if name not in known:
            hint = f"Use one of: {', '.join(known)}." if known else "This llama.cpp sees no GPU: drop --device."
            raise OptionError(f"No device is called {name!r}.", hint)
    return [known[name] for name in names]


def buffer_types() -> dict[str, int]:
    """Buffer types by name ("CPU", "CUDA0"), as handles."""
    buffer_type = ggml("ggml_backend_dev_buffer_type", ctypes.c_void_p, ctypes.c_void_p)
    name = ggml("ggml_backend_buft_name", ctypes.c_char_p, ctypes.c_void_p)
    handles = (buffer_type(device.handle) for device in devices())
    return {name(handle).decode(): handle for handle in handles if handle}


def parse_override(text: str) -> tuple[str, int]:
    """`regex=buffer type` as (pattern, buffer type's handle). OptionError for anything else."""
    pattern, equals, name = text.rpartition("=")
    if not equals or not pattern:
        raise OptionError(f"--override-tensor {text!r} names no buffer type.", _TENSOR_HINT)
    try:
        re.compile(pattern)
    except re.error as error:
        raise OptionError(f"--override-tensor {text!r} is no regular expression: {error}.", _TENSOR_HINT) from None
    known = buffer_types()
    if name not in known:
        raise OptionError(f"--override-tensor: no buffer type is called {name!r}.", f"Use one of: {', '.join(known)}.")
    return pattern, known[name]


def _count() -> int:
    return int(ggml("ggml_backend_dev_count", ctypes.c_size_t)())


def _device(handle: int) -> Device:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    pointer = ctypes.POINTER(ctypes.c_size_t)
    ggml("ggml_backend_dev_memory", None, ctypes.c_void_p, pointer, pointer)(handle, free, total)
    text = {
        name: ggml(f"ggml_backend_dev_{name}", ctypes.c_char_p, ctypes.c_void_p)(handle).decode()
        for name in ("name", "description")
    }
    kind = ggml("ggml_backend_dev_type", ctypes.c_int, ctypes.c_void_p)(handle)
    return Device(text["name"], text["description"], handle, kind == _CPU, free.value, total.value, kind == _INTEGRATED)
