"""llama.cpp's own account of what a context and its model take, by buffer type: read out of a C++ map.

The function is exported and not bound, and returns a std::map. It is read as libstdc++ lays it out (Linux), and only
believed if every key is a buffer type of ggml's; a wrong guess may also end the process, so ask in one of its own.
"""

import ctypes
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from llama_cpp import llama_cpp as ll

from ggufrun.errors import CannotMeasure
from ggufrun.llama.devices import devices
from ggufrun.llama.library import ggml

_SYMBOL: Final = "_Z26llama_get_memory_breakdownPK13llama_context"
_LIBSTDCXX: Final = "_ZSt18_Rb_tree_incrementPKSt18_Rb_tree_node_base"  # its std::map needs this
_MOST_NODES: Final = 256
_MOST_BYTES: Final = 1 << 46
_CPU_TYPE: Final = 0  # ggml_backend_dev_type


class _Map(ctypes.Structure):
    """std::map: what compares, then the header node (colour, root, leftmost, rightmost), then the count."""

    _fields_ = tuple((name, ctypes.c_uint64) for name in ("compare", "colour", "root", "first", "last", "count"))


class _Node(ctypes.Structure):
    """A node of it: its place in the tree, the key, and llama_memory_breakdown_data."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in ("colour", "parent", "left", "right", "buffer_type", "weights", "kv", "compute")
    )


@dataclass(frozen=True, slots=True)
class Buffers:
    """All buffers of one type. Bytes."""

    type: str  # e.g. "CUDA0", "CUDA_Host", "CPU_REPACK"
    device: str  # ggml's name of it; "" where they lie in RAM
    weights: int
    kv: int
    compute: int


def breakdown(context: Any) -> tuple[Buffers, ...]:
    """What a llama_context* and its model take. Raises CannotMeasure where this build cannot be asked.

    Not in it: the rows of logits (sequences * vocabulary * 4 bytes of RAM and up), LoRA adapters, and what a driver
    takes for itself. Mapped weights count as the stretch of the file that they were mapped with.
    """
    if sys.platform != "linux" or sys.maxsize < 1 << 32 or not hasattr(ll._lib, _LIBSTDCXX):
        raise CannotMeasure("it is not built with the C++ library whose maps can be read here")
    if not hasattr(ll._lib, _SYMBOL):
        raise CannotMeasure("it does not export its memory breakdown")
    function = ll._lib[_SYMBOL]
    function.restype, function.argtypes = _Map, [ctypes.c_void_p]  # a large struct: returned as C++ returns its map
    found: _Map = function(context)
    nodes = list(_nodes(found.root, found.count))
    if not nodes or len(nodes) != found.count:
        raise CannotMeasure("its memory breakdown is not laid out as expected")
    return tuple(_buffers(node) for node in nodes)


def _nodes(root: int, count: int) -> Iterator[_Node]:
    waiting, seen = [root], 0
    while waiting:
        address = waiting.pop()
        if not address:
            continue
        seen += 1
        if address % 8 or seen > min(count, _MOST_NODES):
            raise CannotMeasure("its memory breakdown is not laid out as expected")
        node = _Node.from_address(address)
        yield node
        waiting += (node.left, node.right)


def _buffers(node: _Node) -> Buffers:
    sizes = (node.weights, node.kv, node.compute)
    if node.buffer_type not in _buffer_types() or max(sizes) > _MOST_BYTES:
        raise CannotMeasure("its memory breakdown is not laid out as expected")
    name: bytes = ggml("ggml_backend_buft_name", ctypes.c_char_p, ctypes.c_void_p)(node.buffer_type)
    return Buffers(name.decode(), _device(node.buffer_type), *sizes)


def _device(buffer_type: int) -> str:
    """Where buffers of this type lie. A GPU's host buffers are RAM, and the processor's know no device."""
    if ggml("ggml_backend_buft_is_host", ctypes.c_bool, ctypes.c_void_p)(buffer_type):
        return ""
    device = ggml("ggml_backend_buft_get_device", ctypes.c_void_p, ctypes.c_void_p)(buffer_type)
    if not device or ggml("ggml_backend_dev_type", ctypes.c_int, ctypes.c_void_p)(device) == _CPU_TYPE:
        return ""
    name: bytes = ggml("ggml_backend_dev_name", ctypes.c_char_p, ctypes.c_void_p)(device)
    return name.decode()


@cache
def _buffer_types() -> frozenset[int]:
    """All buffer types that ggml has, as handles."""
    found = {ggml("ggml_backend_cpu_buffer_type", ctypes.c_void_p)(), _mapped_type()}
    for device in devices():
        for function in ("ggml_backend_dev_buffer_type", "ggml_backend_dev_host_buffer_type"):
            found.add(ggml(function, ctypes.c_void_p, ctypes.c_void_p)(device.handle))
        found.update(_extra_types(device.handle))
    return frozenset(handle for handle in found if handle)


def _mapped_type() -> int:
    """That of mapped weights, which no device lists: asked of a buffer that is made over a few bytes."""
    held = (ctypes.c_char * 256)()
    aligned = -(-ctypes.addressof(held) // 128) * 128
    buffer = ggml("ggml_backend_cpu_buffer_from_ptr", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)(aligned, 128)
    kind: int = ggml("ggml_backend_buffer_get_type", ctypes.c_void_p, ctypes.c_void_p)(buffer)
    ggml("ggml_backend_buffer_free", None, ctypes.c_void_p)(buffer)
    return kind


def _extra_types(device: int) -> Iterator[int]:
    """Those in which a processor has weights laid out for its own instructions (AMX, CPU_REPACK)."""
    registry = ggml("ggml_backend_dev_backend_reg", ctypes.c_void_p, ctypes.c_void_p)(device)
    find = ggml("ggml_backend_reg_get_proc_address", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
    if address := find(registry, b"ggml_backend_dev_get_extra_bufts"):
        handles = ctypes.CFUNCTYPE(ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p)(address)(device)
        at = 0
        while handles and (handle := handles[at]):
            yield handle
            at += 1
