"""The door to llama.cpp: starts the library once and listens to its log. Nothing about models here.

Importing `llama_cpp.llama_cpp` also runs its package's `__init__` (the high-level API, 0.1 s); nothing of it is used.
"""

import ctypes
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from llama_cpp import llama_cpp as ll

log = logging.getLogger(__name__)

_GPU, _INTEGRATED = 1, 2  # ggml_backend_dev_type

# ggml_log_level. llama.cpp warns on every load; what makes a load fail goes into the exception's message.
_WARN, _ERROR, _CONTINUED = 3, 4, 5
_LEVELS = {1: logging.DEBUG, 2: logging.DEBUG, _WARN: logging.DEBUG, _ERROR: logging.INFO, _CONTINUED: logging.DEBUG}


class _Listener:
    """Receives llama.cpp's log lines, on whichever thread they are written."""

    def __init__(self) -> None:
        self._captured = threading.local()
        self.callback = ll.llama_log_callback(self._receive)  # a collected callback crashes the process

    def _receive(self, level: int, text: bytes | None, _: object) -> None:
        lines: list[str] | None = getattr(self._captured, "lines", None)
        wanted = lines is not None and level in (_WARN, _ERROR)
        if text is None or not (wanted or log.isEnabledFor(_LEVELS.get(level, logging.DEBUG))):
            return
        line = text.decode("utf-8", "replace").rstrip()
        if lines is not None and wanted:
            lines.append(line)
        if line.strip("."):  # loading prints its progress as dots
            log.log(_LEVELS.get(level, logging.DEBUG), "%s", line)

    @contextmanager
    def capture(self) -> Iterator[list[str]]:
        outer: list[str] | None = getattr(self._captured, "lines", None)
        lines: list[str] = []
        self._captured.lines = lines
        try:
            yield lines
        finally:
            self._captured.lines = outer


_listener = _Listener()


@cache
def start() -> None:
    """Initialise llama.cpp in this process; more calls do nothing. Every way into this package begins here."""
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")  # an abort would otherwise start gdb, and hang where it may not
    ll.llama_log_set(_listener.callback, None)
    ll.llama_backend_init()


def listen(set_callback: Callable[[Any, None], object]) -> None:
    """Hear another library's log, as llama.cpp's own is heard."""
    set_callback(_listener.callback, None)


@contextmanager
def captured_log() -> Iterator[list[str]]:
    """The warnings and errors that llama.cpp writes on this thread inside the block, as lines."""
    with _listener.capture() as lines:
        yield lines


def version() -> str:
    """llama.cpp's version and build features; saved states are not shared between versions."""
    return f"{ll.llama_version().decode()} {system_info()}"


def system_info() -> str:
    """What the CPU backend was compiled for, e.g. "CPU : AVX2 = 1 | REPACK = 1"."""
    start()
    text: bytes = ll.llama_print_system_info()
    return text.decode("utf-8", "replace").strip(" |")


def supports_gpu() -> bool:
    """Whether there is a device that layers can be offloaded to, a connected worker's included.

    llama.cpp's own answer is also yes where RPC is compiled in and nobody is connected.
    """
    start()
    if not ll.llama_supports_gpu_offload():
        return False
    by_type = ggml("ggml_backend_dev_by_type", ctypes.c_void_p, ctypes.c_int)
    return any(by_type(kind) for kind in (_GPU, _INTEGRATED))


@cache
def ggml(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """A function of ggml that the binding does not offer.

    Looked up through libllama, whose dependencies are searched too: opening libggml's file by another of its names
    would load a second copy, with an empty registry. Windows searches one library at a time and has one name for each.
    """
    for library_ in _libraries():
        if hasattr(library_, name):
            function = library_[name]  # a new object each time, so that nobody else's prototype is changed
            function.restype, function.argtypes = result, list(arguments)
            return function
    raise OSError(f"llama.cpp's libraries have no {name}")


@cache
def _libraries() -> tuple[ctypes.CDLL, ...]:
    if sys.platform != "win32":
        return (ll._lib,)
    folder = Path(ll.__file__).parent / "lib"
    return (ll._lib, *(ctypes.CDLL(str(folder / name)) for name in ("ggml.dll", "ggml-base.dll")))
