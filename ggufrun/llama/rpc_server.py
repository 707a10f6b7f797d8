"""The process that serves this machine's devices, `python -m ggufrun.llama.rpc_server`: llama.cpp's own RPC server.

It blocks for ever and answers one client at a time; `ggufrun.rpc.worker` starts it, watches it and starts it again.
"""

import ctypes
import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from ggufrun.errors import GgufrunError, OptionError
from ggufrun.llama import rpc_library
from ggufrun.llama.devices import Device, devices
from ggufrun.llama.hardware import available_memory, physical_cores, total_memory

EXIT_REFUSED: Final = 3
_POINTER: Final = ctypes.sizeof(ctypes.c_void_p)
_GET_MEMORY: Final = 2  # of the functions that a ggml_backend_device begins with: get_name, get_description, get_memory
_Sizes: Final = ctypes.POINTER(ctypes.c_size_t)
_GetMemory: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p, _Sizes, _Sizes)

_kept: list[Any] = []  # callbacks that native code has


def serve(endpoint: str, names: Sequence[str], threads: int | None, cache: str | None, memory: int | None) -> None:
    """Never returns but on an error. Raises OptionError. `memory`: bytes that clients are told of, at most."""
    start = rpc_library.function(b"ggml_backend_rpc_start_server")
    offered = chosen(names)
    for device in offered:
        _tell_memory(device, memory)
    handles = (ctypes.c_void_p * len(offered))(*(device.handle for device in offered))
    kind = ctypes.CFUNCTYPE(
        None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.POINTER(ctypes.c_void_p)
    )
    folder = None if cache is None else cache.encode()
    kind(start)(endpoint.encode(), folder, threads or physical_cores(), len(offered), handles)
    raise OptionError(f"llama.cpp does not listen on {endpoint}.", "Is the port taken, or the address another's?")


def chosen(names: Sequence[str]) -> list[Device]:
    """The devices of these names; without: the GPUs, else the processor. Raises OptionError."""
    found = [device for device in devices() if device.is_cpu or device.total]
    if not names:
        gpus = [device for device in found if not device.is_cpu]
        own = [device for device in gpus if not device.is_integrated]
        return own or gpus or [device for device in found if device.is_cpu][:1]
    known = {device.name: device for device in found}
    for name in names:
        if name not in known:
            raise OptionError(f"No device is called {name!r}.", f"Use one of: {', '.join(known)}.")
    return [known[name] for name in names]


def _tell_memory(device: Device, most: int | None) -> None:
    """Have a device say what is really free: the processor's says that all of the machine's memory is.

    The device's own function is replaced where it lies, if the struct is laid out as it was when this was written.
    """
    own = _own_memory(device)
    if own is None or (most is None and not device.is_cpu):
        return

    def told(handle: int, free: Any, total: Any) -> None:
        own(handle, free, total)
        if device.is_cpu:
            free[0], total[0] = available_memory(), total_memory()
        if most is not None:
            free[0], total[0] = min(free[0], most), min(total[0], most)

    callback = _GetMemory(told)
    _kept.append(callback)
    place = ctypes.c_void_p.from_address(device.handle + _GET_MEMORY * _POINTER)
    place.value = ctypes.cast(callback, ctypes.c_void_p).value


def _own_memory(device: Device) -> Callable[..., None] | None:
    """The device's get_memory; None where the struct does not begin as expected."""
    first = ctypes.c_void_p.from_address(device.handle).value
    own = ctypes.c_void_p.from_address(device.handle + _GET_MEMORY * _POINTER).value
    if not first or not own:
        return None
    name = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p)(first)(device.handle)
    if name != device.name.encode():
        return None
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    function = _GetMemory(own)
    function(device.handle, ctypes.byref(free), ctypes.byref(total))
    return function if total.value == device.total else None


def _end_with_parent() -> None:
    """Standard input is the parent's: its end is ours, whatever native code does."""
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    try:
        serve(asked["endpoint"], asked["devices"], asked["threads"], asked["cache"], asked["memory"])
    except GgufrunError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(EXIT_REFUSED)


if __name__ == "__main__":
    main()
