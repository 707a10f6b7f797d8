"""The parts that need no model: the batch, the words of errors, the machine."""

import os
from pathlib import Path
from typing import Any

import pytest

from ggufrun.engine.backend import Run
from ggufrun.errors import ModelFileError, OptionError, OutOfMemory
from ggufrun.llama import hardware, library
from ggufrun.llama.batch import Batch
from ggufrun.llama.failures import context_failure, model_failure, reason


def test_a_batch_holds_its_runs_in_order() -> None:
    batch = Batch(8)
    assert batch.fill([Run(3, 7, [11], 1), Run(0, 0, (5, 6, 7), 2), Run(2, 9, [8], 0)]) == 3
    native: Any = batch.native  # the binding annotates pos as an array of arrays
    assert native.n_tokens == 5
    assert native.token[:5] == [11, 5, 6, 7, 8]
    assert native.pos[:5] == [7, 0, 1, 2, 9]
    assert native.logits[:5] == [1, 0, 1, 1, 0]
    assert [(native.n_seq_id[i], native.seq_id[i][0]) for i in range(5)] == [(1, 3), (1, 0), (1, 0), (1, 0), (1, 2)]
    assert batch.fill([Run(1, 0, [4], 1)]) == 1
    assert (native.n_tokens, native.token[0], native.seq_id[0][0]) == (1, 4, 1)


def test_a_batch_refuses_more_than_it_holds() -> None:
    with pytest.raises(ValueError, match="9 rows in a batch of 8"):
        Batch(8).fill([Run(0, 0, range(9), 1)])


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        ("ggml_backend_cuda_buffer_type_alloc_buffer: allocating 9 MiB on device 0: cudaMalloc failed: out of memory",
         OutOfMemory, "does not fit"),
        ("llama_model_load: error loading model: unable to allocate CUDA0 buffer", OutOfMemory, "unable to allocate"),
        ("llama_model_load: error loading model: illegal split file idx: 1 (file: x), model must be loaded with the "
         "first split", ModelFileError, "first file"),
        ("llama_model_load: error loading model: something new", ModelFileError, "something new"),
        ("llama_model_load: error loading model: regex_error(error_paren)", OptionError, "regex"),
    ],
)  # fmt: skip
def test_llama_cpps_words_become_ours(line: str, kind: type[Exception], words: str) -> None:
    error = model_failure(Path("m.gguf"), [line, "llama_model_load_from_file_impl: failed to load model"])
    assert isinstance(error, kind)
    assert words in str(error)


def test_a_context_that_was_not_made() -> None:
    assert isinstance(context_failure(512, ["x: failed to allocate buffer for kv cache"]), OutOfMemory)
    assert isinstance(context_failure(512, []), OutOfMemory)
    quantized = "llama_init_from_model: quantized V cache requires flash_attn to be enabled"
    assert "flash" in str(context_failure(512, [quantized]))
    assert "odd" in str(context_failure(512, ["llama_init_from_model: odd"]))


def test_a_reason_is_always_given() -> None:
    assert reason([]) == "llama.cpp gave no reason"


def test_the_machine() -> None:
    assert 1 <= hardware.physical_cores() <= (os.cpu_count() or 1)
    available = hardware.available_memory()
    assert available is None or available > 0
    assert library.version()
    library.start()
    library.start()
