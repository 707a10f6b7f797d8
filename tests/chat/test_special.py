"""A user's text never becomes a special token, whatever it spells, and never changes on the way."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ggufrun.chat.special import Shield, SpecialNames, strings_in
from ggufrun.chat.templated import CHATML, TemplateEncoder
from ggufrun.chat.types import ChatRequest, Message
from tests.fakes import FakeVocabulary

SPECIALS = ("<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|im_end|>>", "[INST]")
VOCABULARY = FakeVocabulary(specials=SPECIALS)
NAMES = SpecialNames(VOCABULARY)
CHATML_ENCODER = TemplateEncoder(VOCABULARY, CHATML)
PASTING_ENCODER = TemplateEncoder(VOCABULARY, "{% for message in messages %}{{ message['content'] }}{% endfor %}")

fragments = st.sampled_from(
    [*SPECIALS, "<|im_", "end|>", "<", ">", "|", "s>", "[IN", "ST]", "a", " ", "\n", "\ue000", "\ue001", "é", "</"]
)
hostile = st.lists(fragments, max_size=8).map("".join)


def _ids(tokens: tuple[int, ...]) -> list[int]:
    return [token for token in tokens if token >= 256]


def _text(tokens: tuple[int, ...]) -> str:
    return b"".join(map(VOCABULARY.piece, tokens)).decode()


@settings(max_examples=150, deadline=None)
@given(st.lists(hostile, min_size=1, max_size=4))
def test_hostile_text_reaches_the_model_as_text(texts: list[str]) -> None:
    messages = tuple(
        Message(role="system" if turn % 2 else "user", content=f"x{text}") for turn, text in enumerate(texts)
    )
    messages += (Message(role="user", content="end"),)
    prompt = CHATML_ENCODER.encode(ChatRequest(messages=messages))
    start, end = VOCABULARY.special["<|im_start|>"], VOCABULARY.special["<|im_end|>"]
    assert _ids(prompt.tokens) == [VOCABULARY.special["<s>"]] + [start, end] * len(messages) + [start]
    turns = "".join(f"<|im_start|>{message.role}\n{message.content}<|im_end|>\n" for message in messages)
    assert _text(prompt.tokens) == f"<s>{turns}<|im_start|>assistant\n"


@settings(max_examples=100, deadline=None)
@given(hostile, hostile)
def test_neighbours_cannot_build_a_name_together(left: str, right: str) -> None:
    messages = (Message(role="user", content=f"x{left}"), Message(role="user", content=right))
    prompt = PASTING_ENCODER.encode(ChatRequest(messages=messages))
    assert _ids(prompt.tokens) == [VOCABULARY.special["<s>"]]
    assert _text(prompt.tokens) == f"<s>x{left}{right}"


def test_json_that_a_template_escapes_comes_back() -> None:
    source = "{{ messages[0].content | tojson(ensure_ascii=true) }}"
    prompt = TemplateEncoder(VOCABULARY, source).encode(ChatRequest(messages=(Message(role="user", content="x</s>"),)))
    assert _text(prompt.tokens) == '<s>"x</s>"'


def test_harmless_text_is_left_alone() -> None:
    value: dict[str, Any] = {"messages": [{"content": "a < b > c | d"}], "tools": None, "n": 3}
    shield = Shield(NAMES, strings_in(value))
    assert not shield.active
    assert shield.protect(value) is value


def test_keys_and_nested_values_are_protected() -> None:
    value = {"<s>": [{"deep": ("</s>", 1, None)}]}
    shield = Shield(NAMES, strings_in(value))
    protected = shield.protect(value)
    assert not NAMES.pattern.search(str(protected))
    assert "".join(map(str, shield.cut(str(protected)))) == str({"<s>": [{"deep": ["</s>", 1, None]}]})


def test_a_vocabulary_without_special_tokens() -> None:
    names = SpecialNames(FakeVocabulary(specials=()))
    shield = Shield(names, ["<s>"])
    assert not shield.active
    assert list(shield.cut("<s>")) == ["<s>"]
