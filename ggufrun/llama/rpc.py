"""Workers of other machines as devices of this process: llama.cpp's RPC client. Whether they are there is asked before.

llama.cpp ends the process where a worker cannot be reached or breaks off, so this runs in a process that is supervised.
"""

import ctypes
import socket
from collections.abc import Sequence
from functools import cache

from ggufrun.errors import OptionError
from ggufrun.llama import rpc_library
from ggufrun.llama.devices import devices
from ggufrun.llama.library import ggml


def connect(endpoints: Sequence[str]) -> list[int]:
    """Handles of the workers' devices, in order; `endpoints` as "192.168.1.2:50052". They join ggml's registry.

    Raises OptionError where this llama.cpp has no RPC, or a name is unknown.
    """
    return [handle for endpoint in endpoints for handle in _connected(endpoint)]


def local_gpus(remote: Sequence[int]) -> list[int]:
    """Handles of this machine's own GPUs, those that llama.cpp would take: integrated ones only without others."""
    found = [device for device in devices() if not device.is_cpu and device.total and device.handle not in remote]
    own = [device.handle for device in found if not device.is_integrated]
    return own or [device.handle for device in found]


@cache
def _connected(endpoint: str) -> tuple[int, ...]:
    prototype = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p)
    server = prototype(rpc_library.function(b"ggml_backend_rpc_add_server"))(_dotted(endpoint).encode())
    if not server:
        return ()
    ggml("ggml_backend_register", None, ctypes.c_void_p)(server)
    count = ggml("ggml_backend_reg_dev_count", ctypes.c_size_t, ctypes.c_void_p)(server)
    get = ggml("ggml_backend_reg_dev_get", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
    return tuple(int(get(server, number)) for number in range(count))


def _dotted(endpoint: str) -> str:
    """With the host as numbers: llama.cpp would end the process over a name that it cannot resolve."""
    host, _, port = endpoint.rpartition(":")
    try:
        return f"{socket.gethostbyname(host)}:{port}"
    except (OSError, UnicodeError) as error:
        raise OptionError(f"--rpc {endpoint}: the name is unknown here.", "Give the worker's address.") from error
