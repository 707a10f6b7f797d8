"""Whether llama.cpp's matrix products for AMX (Intel Xeons since 2023) were compiled right.

GCC before 11.5, 12.4 and 13.3 drops most of the tiles' set-up (https://gcc.gnu.org/PR114098), and the first product of
several rows ends the process. `make` compiles around it and leaves a text in the library; plain `pip` does not.
"""

import os
import re
from pathlib import Path

import llama_cpp

from ggufrun.weights.header import Header

_MENDED = b"ggufrun: ldtilecfg reads 64 bytes"  # written by ggufrun/install/amx_tiles.h
_COMPILER = re.compile(rb"GCC: \([^)]*\) (\d+)\.(\d+)")
_FIRST_RIGHT = {11: 5, 12: 4, 13: 3}  # GCC's major version: its first minor version that is right


def tiles_are_right(library: bytes) -> bool:
    """Judge the bytes of libggml-cpu: compiled around the fault, or by no GCC that has it."""
    if _MENDED in library:
        return True
    found = ((int(major), int(minor)) for major, minor in _COMPILER.findall(library))
    return not any(major < 11 or minor < _FIRST_RIGHT.get(major, 0) for major, minor in found)


def cannot_multiply(header: Header) -> bool:
    """Whether this is a model with a compressed KV cache (MLA: Mistral Small 4, DeepSeek).

    Its heads are multiplied as rows that do not lie side by side, which AMX's buffers refuse after they were filled:
    llama.cpp b11434 then aborts, `GGML_ASSERT(*cur_backend_id != -1)`.
    """
    return header.integer(f"{header.architecture}.attention.kv_lora_rank") is not None


def library_bytes() -> bytes:
    """The installed libggml-cpu, or nothing where there is none beside llama_cpp (one static library, Windows)."""
    folder = Path(os.environ.get("LLAMA_CPP_LIB_PATH") or Path(llama_cpp.__file__).parent / "lib")
    return next((file.read_bytes() for file in folder.glob("libggml-cpu.so*")), b"")
