"""llama.cpp's RPC backend, found and loaded: a part of the build, or the add-on that `ggufrun rpc-build` makes.

What is done with it is in `rpc` (a client) and `rpc_server` (a worker); it is compiled by `ggufrun.rpc.building`.
"""

import ctypes
import hashlib
import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Final

import llama_cpp
from llama_cpp import llama_cpp as ll
from platformdirs import user_cache_path

from ggufrun.errors import OptionError
from ggufrun.llama import library
from ggufrun.llama.library import ggml

ABOUT: Final = "about.json"  # beside the add-on: the protocol that it speaks
BACKEND: Final = b"RPC"
Protocol = tuple[int, int, int]
_VERSION: Final = re.compile(r"#define\s+RPC_PROTO_(MAJOR|MINOR|PATCH)_VERSION\s+(\d+)")


def version() -> str:
    """Of llama-cpp-python, whose source the add-on must be of."""
    return str(llama_cpp.__version__)


def base_library() -> Path:
    """ggml's base library as llama.cpp itself has it open. Raises OptionError where there is none."""
    folder = Path(ll.__file__).parent / "lib"
    for name in ("libggml-base.so.0", "libggml-base.so", "libggml-base.0.dylib", "libggml-base.dylib"):
        if (folder / name).is_file():
            return folder / name
    hint = "Install llama-cpp-python built with CMAKE_ARGS=-DGGML_RPC=ON."
    raise OptionError("This llama.cpp is built in a way that the RPC add-on cannot be made for.", hint)


def folder() -> Path:
    """Where the add-on for this very llama.cpp lies, or would. Raises OptionError."""
    digest = hashlib.sha256(base_library().read_bytes()).hexdigest()[:12]
    return user_cache_path("ggufrun", appauthor=False) / "rpc" / f"{version()}-{digest}"


def file_name() -> str:
    return "libggml-rpc.dylib" if sys.platform == "darwin" else "libggml-rpc.so"


def is_built_in() -> bool:
    library.start()
    return bool(_registry())


def is_there() -> bool:
    """Whether RPC can be used, now."""
    return is_built_in() or _addon() is not None


def protocol() -> Protocol | None:
    """What this side speaks; None where a build does not say. Raises OptionError where there is no RPC."""
    addon = _addon()
    if addon is not None and not is_built_in():
        major, minor, patch = json.loads(addon.with_name(ABOUT).read_text("utf-8"))["protocol"]
        return int(major), int(minor), int(patch)
    if not is_built_in():
        raise missing()
    header = Path(ll.__file__).parent.parent / "include" / "ggml-rpc.h"
    return protocol_in(header.read_text("utf-8")) if header.is_file() else None


def protocol_in(header: str) -> Protocol | None:
    """The version in the text of ggml-rpc.h."""
    found = dict(_VERSION.findall(header))
    return (int(found["MAJOR"]), int(found["MINOR"]), int(found["PATCH"])) if len(found) == 3 else None


@cache
def load() -> int:
    """The backend's registry handle, loaded once a process. Raises OptionError where there is none."""
    library.start()
    if handle := _registry():
        return handle
    addon = _addon()
    if addon is None:
        raise missing()
    handle = ggml("ggml_backend_load", ctypes.c_void_p, ctypes.c_char_p)(str(addon).encode())
    if not handle:
        raise OptionError(f"The RPC add-on {addon} does not load.", "Make it again: ggufrun rpc-build --again.")
    return int(handle)


def function(name: bytes) -> int:
    """The address of one of the backend's own functions. Raises OptionError."""
    find = ggml("ggml_backend_reg_get_proc_address", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
    address = find(load(), name)
    if not address:
        raise OptionError(f"This llama.cpp's RPC has no {name.decode()}.", "Update llama-cpp-python.")
    return int(address)


def missing() -> OptionError:
    return OptionError("This llama.cpp was built without RPC.", "Make the small add-on once: ggufrun rpc-build.")


def _registry() -> int:
    return int(ggml("ggml_backend_reg_by_name", ctypes.c_void_p, ctypes.c_char_p)(BACKEND) or 0)


def _addon() -> Path | None:
    try:
        path = folder() / file_name()
    except OptionError:
        return None
    return path if path.is_file() and path.with_name(ABOUT).is_file() else None
