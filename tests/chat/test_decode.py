"""Detokenizing piece by piece: whole characters only, and nothing of special tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggufrun.chat.decode import Detokenizer, prefixes_space
from tests.fakes import FakeVocabulary

VOCABULARY = FakeVocabulary(words=[" Hello", "  ", " "])


@given(st.binary(max_size=40), st.data())
def test_any_bytes_in_any_pieces_come_out_as_python_would_replace_them(raw: bytes, data: st.DataObject) -> None:
    decoder = Detokenizer(VOCABULARY)
    out, at = "", 0
    while at < len(raw):
        step = data.draw(st.integers(1, 4))
        out += decoder.feed(list(raw[at : at + step]))
        at += step
    assert out + decoder.finish() == raw.decode("utf-8", "replace")


@given(st.text(max_size=20))
def test_a_character_comes_out_with_its_last_byte(text: str) -> None:
    decoder = Detokenizer(VOCABULARY)
    raw = text.encode()
    out = ""
    for at, byte in enumerate(raw):
        out += decoder.feed([byte])
        assert out == raw[: at + 1].decode("utf-8", "ignore")
    assert decoder.finish() == ""


def test_an_unfinished_character_is_one_replacement_at_the_end() -> None:
    decoder = Detokenizer(VOCABULARY)
    assert decoder.feed("né".encode()[:-1]) == "n"
    assert decoder.finish() == "\ufffd"
    assert decoder.feed(b"ok") == "ok"


def test_special_tokens_print_nothing_unless_shown() -> None:
    tokens = [*b"a", VOCABULARY.special["[THINK]"], VOCABULARY.special["[ARGS]"], *b"b"]
    assert Detokenizer(VOCABULARY).feed(tokens) == "ab"
    assert Detokenizer(VOCABULARY, shown=[b"[THINK]"]).feed(tokens) == "a[THINK]b"


@pytest.mark.parametrize(
    ("skip", "words", "wanted"),
    [
        (0, [" Hello"], " Hello"),
        (1, [" Hello", " Hello"], "Hello Hello"),
        (1, ["  ", " Hello"], "  Hello"),
        (3, ["  ", " ", " Hello"], " Hello"),
        (3, [" Hello", " "], "Hello "),
    ],
)
def test_leading_spaces_are_skipped_over_tokens(skip: int, words: list[str], wanted: str) -> None:
    tokens = [256 + len(VOCABULARY.special) + [" Hello", "  ", " "].index(word) for word in words]
    together, singly = Detokenizer(VOCABULARY, skip_spaces=skip), Detokenizer(VOCABULARY, skip_spaces=skip)
    assert together.feed(tokens) == wanted
    assert "".join(singly.feed([token]) for token in tokens) == wanted


def test_only_sentencepiece_puts_a_space_first() -> None:
    assert prefixes_space({"tokenizer.ggml.model": "llama"})
    assert not prefixes_space({"tokenizer.ggml.model": "llama", "tokenizer.ggml.add_space_prefix": "false"})
    assert not prefixes_space({"tokenizer.ggml.model": "gpt2"})
