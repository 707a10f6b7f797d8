"""The demo model's vocabulary."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggufrun.errors import EngineClosed
from ggufrun.llama.vocabulary import LlamaVocabulary

pytestmark = pytest.mark.model


def test_facts(vocabulary: LlamaVocabulary) -> None:
    assert len(vocabulary) == 49152
    assert (vocabulary.bos, vocabulary.eos, vocabulary.adds_bos) == (1, 2, False)
    assert vocabulary.metadata["general.architecture"] == "llama"
    assert vocabulary.metadata["tokenizer.ggml.pre"] == "smollm"
    assert vocabulary.metadata["tokenizer.chat_template"].startswith("{%")
    assert len(vocabulary.metadata["tokenizer.chat_template"]) > 256
    assert "tokenizer.ggml.tokens" not in vocabulary.metadata


def test_special_tokens(vocabulary: LlamaVocabulary) -> None:
    assert vocabulary.tokenize("<|im_end|>", special=True) == [2]
    assert vocabulary.piece(2) == b"<|im_end|>"
    assert vocabulary.is_special(2) and vocabulary.is_end(2)
    assert vocabulary.is_special(1) and not vocabulary.is_end(1)
    assert vocabulary.ends == {0, 2, 4}
    plain = vocabulary.tokenize("<|im_end|>", special=False)
    assert len(plain) > 1
    assert not any(map(vocabulary.is_special, plain))


def test_text_is_as_the_file_spells_it(vocabulary: LlamaVocabulary) -> None:
    (token,) = vocabulary.tokenize(" the", special=False)
    assert vocabulary.text(token) == "Ġthe"
    assert vocabulary.piece(token) == b" the"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_pieces_add_up_to_the_text(vocabulary: LlamaVocabulary, text: str) -> None:
    # llama.cpp drops the few bytes that this vocabulary has no token for (most control characters, F1 and above)
    known = {piece for piece in vocabulary.pieces if len(piece) == 1}
    expected = b"".join(byte for byte in (bytes([value]) for value in text.encode()) if byte in known)
    tokens = vocabulary.tokenize(text, special=False)
    assert b"".join(map(vocabulary.piece, tokens)) == expected
    assert len(known) > 200


def test_half_a_surrogate_pair_does_not_reach_llama_cpp(vocabulary: LlamaVocabulary) -> None:
    assert vocabulary.tokenize("a\ud800b", special=False) == vocabulary.tokenize("a?b", special=False)


def test_threads_may_tokenize_at_once(vocabulary: LlamaVocabulary) -> None:
    texts = [f"Question {i}: how many legs have {i} spiders?" * 20 for i in range(40)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda text: vocabulary.tokenize(text, special=False), texts))
    assert together == [vocabulary.tokenize(text, special=False) for text in texts]


def test_a_closed_vocabulary_still_knows_its_pieces(demo_path: Path) -> None:
    vocabulary = LlamaVocabulary.from_path(demo_path)
    vocabulary.close()
    vocabulary.close()
    assert vocabulary.piece(2) == b"<|im_end|>"
    with pytest.raises(EngineClosed):
        vocabulary.tokenize("x", special=False)
