"""Judging libggml-cpu by the compiler's signature in it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ggufrun.llama.amx import cannot_multiply, tiles_are_right
from ggufrun.weights.header import read_header


@pytest.mark.parametrize(
    ("signature", "right"),
    [
        (b"GCC: (Debian 12.2.0-14+deb12u1) 12.2.0\0", False),
        (b"GCC: (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0\0", False),
        (b"GCC: (GNU) 13.2.1 20231205\0", False),
        (b"GCC: (GNU) 8.5.0\0", False),
        (b"GCC: (Ubuntu 13.3.0-6ubuntu2~24.04) 13.3.0\0", True),
        (b"GCC: (GNU) 14.1.1\0", True),
        (b"GCC: (GNU) 15.0.0\0", True),
        (b"clang version 18.1.8\0", True),
        (b"GCC: (Debian 12.2.0-14+deb12u1) 12.2.0\0 ggufrun: ldtilecfg reads 64 bytes\0", True),
        (b"", True),
    ],
)
def test_signatures(signature: bytes, right: bool) -> None:
    assert tiles_are_right(b"\x7fELF..." + signature) is right


def test_models_with_a_compressed_cache_cannot_use_it(shape: Callable[..., Path]) -> None:
    """That `experts` loads at all is tested in tests/fit/test_exact.py: llama.cpp aborts otherwise, where AMX is."""
    assert cannot_multiply(read_header(shape("experts")))
    assert not cannot_multiply(read_header(shape("dense")))
