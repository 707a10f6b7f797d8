"""How a text is cut: as llama-perplexity cuts it, shared out among its parts, and refused where it is too short"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ggufrun.compare.run.chunks import chunked, shares
from ggufrun.compare.texts.source import Part
from ggufrun.errors import OptionError
from ggufrun.llama.vocabulary import LlamaVocabulary

WORDS = "one two three four five six seven eight nine ten\n"


@pytest.fixture(scope="module")
def plain(tiny_model: Callable[[str], Path]) -> Iterator[LlamaVocabulary]:
    """Adds no BOS."""
    vocabulary = LlamaVocabulary.from_path(tiny_model("llama-tiny"))
    yield vocabulary
    vocabulary.close()


@pytest.fixture(scope="module")
def with_bos(tiny_model: Callable[[str], Path]) -> Iterator[LlamaVocabulary]:
    vocabulary = LlamaVocabulary.from_path(tiny_model("spm-mistral-v3"))
    yield vocabulary
    vocabulary.close()


def test_chunks_follow_each_other_and_the_rest_is_left_out(plain: LlamaVocabulary) -> None:
    text = WORDS * 100
    found = chunked([Part("a", text)], plain, 100)
    tokens = plain.tokenize(text, special=False)
    assert [token for chunk in found.tokens for token in chunk] == tokens[: len(tokens) // 512 * 512]
    assert set(found.firsts) == {256}


def test_where_the_model_expects_bos_it_replaces_the_first_token(with_bos: LlamaVocabulary) -> None:
    text = WORDS * 100
    found = chunked([Part("a", text)], with_bos, 100)
    tokens = with_bos.frame(text)
    assert tokens[0] == with_bos.bos
    for at, chunk in enumerate(found.tokens):
        assert chunk == (with_bos.bos, *tokens[at * 512 + 1 : at * 512 + 512])


def test_parts_share_the_chunks_and_a_long_one_takes_what_short_ones_leave(plain: LlamaVocabulary) -> None:
    found = chunked([Part("short", WORDS * 25), Part("long", WORDS * 400)], plain, 6)
    assert found.names == ("short", "long")
    assert len(found.tokens) == 6
    assert found.parts.count(0) >= 1 and found.parts.count(1) == 6 - found.parts.count(0)


def test_files_too_short_for_a_chunk_are_joined(plain: LlamaVocabulary) -> None:
    found = chunked([Part(name, WORDS * 12) for name in "abcd"], plain, 10)
    assert found.names == ("short files",)
    assert len(found.tokens) >= 1


def test_one_too_short_beside_a_long_one_is_left_out_and_named(plain: LlamaVocabulary) -> None:
    found = chunked([Part("long", WORDS * 100), Part("note", "A few words.")], plain, 10)
    assert found.names == ("long",)
    assert found.left_out == ("note",)


def test_a_text_too_short_says_how_much_is_needed(plain: LlamaVocabulary) -> None:
    with pytest.raises(OptionError, match=r"one chunk needs 512.*at least; for intervals 8 chunks"):
        chunked([Part("a", "Only a few words.")], plain, 10)


@pytest.mark.parametrize(
    ("there", "most", "expected"),
    [([5, 5, 5], 8, [3, 3, 2]), ([1, 9, 9], 8, [1, 4, 3]), ([2, 2], 8, [2, 2]), ([0, 3], 2, [0, 2]), ([], 8, [])],
)
def test_shares(there: list[int], most: int, expected: list[int]) -> None:
    assert shares(there, most) == expected
