"""The tiny models load in llama.cpp, tokenize as their large relatives and decode to finite, varied numbers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import pytest

from ggufrun.llama.library import start
from ggufrun.weights.header import read_header
from tests.chat.vocab import published
from tests.tiny_models import EMBEDDERS, FOLDERS, KINDS

TEXT = 'The quick brown fox {"name": 3}\n'


@contextmanager
def loaded(path: Path) -> Iterator[tuple[Any, Any]]:
    """A model and a context of 256 tokens."""
    start()
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
    assert model
    params = llama_cpp.llama_context_default_params()
    params.n_ctx, params.n_threads = 256, 1
    context = llama_cpp.llama_init_from_model(model, params)
    assert context
    try:
        yield model, context
    finally:
        llama_cpp.llama_free(context)
        llama_cpp.llama_model_free(model)


def tokenize(model: Any, text: str) -> list[int]:
    vocabulary, data, ids = llama_cpp.llama_model_get_vocab(model), text.encode(), (llama_cpp.llama_token * 256)()
    return list(ids[: llama_cpp.llama_tokenize(vocabulary, data, len(data), ids, 256, False, True)])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in EMBEDDERS])
def test_loads_and_decodes(tiny_model: Callable[[str], Path], kind: str) -> None:
    with loaded(tiny_model(kind)) as (model, context):
        tokens, seen = tokenize(model, TEXT), []
        size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
        for _ in range(12):
            array = (llama_cpp.llama_token * len(tokens))(*tokens)  # the batch only points to it
            assert llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(array, len(tokens))) == 0
            row = np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, -1), (size,))
            assert np.isfinite(row).all() and 2 < row.std() < 4
            tokens = [int(row.argmax())]
            seen += tokens
        assert len(set(seen)) > 6
        assert llama_cpp.llama_model_is_recurrent(model) is (kind == "recurrent-tiny")


@pytest.mark.parametrize("version", [3, 7, 11, 13, 15])
def test_tekken_vocabulary_and_special_tokens(tiny_model: Callable[[str], Path], version: int) -> None:
    path = tiny_model(f"mistral3-v{version}")
    tokens = read_header(path).strings("tokenizer.ggml.tokens")
    since = {"[SYSTEM_PROMPT]": 7, "[ARGS]": 11, "[CALL_ID]": 11, "[THINK]": 13, "[MODEL_SETTINGS]": 15}
    assert len(tokens) == len(set(tokens)) == 131_072
    assert {name for name in since if name in tokens} == {name for name in since if since[name] <= version}
    assert tokens[:4] == ["<unk>", "<s>", "</s>", "[INST]"]


def test_llama_cpp_tokenizes_english_as_mistral_common_does(tiny_model: Callable[[str], Path]) -> None:
    with loaded(tiny_model("mistral3-v13")) as (model, _):
        assert tokenize(model, TEXT) == published().encode(TEXT, bos=False, eos=False)


def test_the_same_kind_gives_the_same_bytes(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    KINDS["llama-tiny"](tmp_path / "again.gguf")
    assert (tmp_path / "again.gguf").read_bytes() == tiny_model("llama-tiny").read_bytes()


def test_a_kind_of_two_files_is_written_to_a_folder(tiny_vision: Path, tmp_path: Path) -> None:
    FOLDERS["mistral3-vision"](tmp_path / "made")
    names = sorted(path.name for path in (tmp_path / "made").iterdir())
    assert names == ["mmproj.gguf", "model.gguf"]
    for name in names:
        assert (tmp_path / "made" / name).read_bytes() == (tiny_vision / name).read_bytes()
    keys = read_header(tiny_vision / "mmproj.gguf").metadata
    assert (keys["general.architecture"], keys["clip.projector_type"]) == ("clip", "pixtral")
