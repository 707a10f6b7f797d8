"""Masks, jump-forward and wrap-up on real llguidance matchers, with a vocabulary of bytes and a few words."""

import json
import random
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llguidance import LLMatcher

from ggufrun.engine.grammar import Constraint, GrammarCompiler, GrammarError, apply_mask, build_tokenizer, fill_masks
from ggufrun.engine.types import Grammar
from tests.fakes import FakeVocabulary
from tests.random_schemas import Rambler

WORDS = ('{"', '": "', '"}', ', "', '"]', "}}", "]}", "[]", "{}", '""', " null", "true", "false", "name", "    ")
VOCABULARY = FakeVocabulary(words=WORDS)
STEPWISE = GrammarCompiler(VOCABULARY, jump_forward=False)
END = VOCABULARY.special["</s>"]
FORM = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def compiler() -> GrammarCompiler:
    return GrammarCompiler(VOCABULARY)


def json_grammar(schema: dict[str, Any]) -> Grammar:
    return Grammar(LLMatcher.grammar_from_json_schema({**schema, "x-guidance": FORM}), closable=True)


def regex_grammar(regex: str) -> Grammar:
    return Grammar(LLMatcher.grammar_from_regex(regex))


def ids(text: str | bytes) -> list[int]:
    return list(text.encode() if isinstance(text, str) else text)


def text_of(tokens: list[int] | tuple[int, ...]) -> str:
    return b"".join(VOCABULARY.piece(token) for token in tokens).decode()


def allowed(constraint: Constraint) -> set[int]:
    return set(Rambler(VOCABULARY, random.Random(0)).allowed(constraint))


def at(schema: dict[str, Any], prefix: str | bytes) -> Constraint:
    """A constraint that has taken `prefix` byte by byte, with room to spare."""
    constraint = STEPWISE.start(json_grammar(schema))
    for token in ids(prefix):
        constraint.advance(token, 10_000)
    return constraint


def test_tokenizer_knows_special_and_end_tokens() -> None:
    tokenizer = build_tokenizer(VOCABULARY)
    assert tokenizer.vocab_size == len(VOCABULARY)
    assert tokenizer.eos_tokens == [END]
    assert all(tokenizer.is_special_token(token) for token in VOCABULARY.special.values())
    assert tokenizer.tokenize_str("</s>") == ids("</s>")


def test_a_vocabulary_without_an_end_is_refused() -> None:
    with pytest.raises(GrammarError, match="no end-of-generation token"):
        build_tokenizer(FakeVocabulary(specials=("<s>",)))


class Spaced(FakeVocabulary):
    """SentencePiece's habit: a space before the text."""

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        return ids(" " + text)


def test_a_vocabulary_that_puts_a_space_first_forces_no_space() -> None:
    compiler = GrammarCompiler(Spaced())
    step = compiler.start(regex_grammar("[ab]hello[cd]")).advance(ord("a"), 10)
    assert text_of(step.tokens) == "ahello"


def test_special_tokens_are_no_text() -> None:
    inside = at({"type": "string"}, '"')
    assert not allowed(inside) & set(VOCABULARY.special.values())
    assert set(range(ord("a"), ord("z") + 1)) <= allowed(inside)


def test_a_special_token_can_be_asked_for(compiler: GrammarCompiler) -> None:
    call = VOCABULARY.special["[TOOL_CALLS]"]
    constraint = compiler.start(Grammar(f'start: <[{call}]> "x"'))
    assert allowed(constraint) == {call}
    assert constraint.begin(10).tokens == (call, ord("x"))


def test_the_end_is_allowed_where_the_answer_may_end(compiler: GrammarCompiler) -> None:
    constraint = compiler.start(regex_grammar("ab?"))
    assert allowed(constraint) == {ord("a")}
    assert not constraint.accepting
    step = constraint.advance(ord("a"), 9)
    assert not step.finished
    assert constraint.accepting
    assert allowed(constraint) == {ord("b"), END}
    assert constraint.advance(ord("b"), 8).finished


def test_forced_tokens_follow(compiler: GrammarCompiler) -> None:
    constraint = compiler.start(json_grammar(PERSON))
    begun = constraint.begin(100)
    assert text_of(begun.tokens) == '{"name": '  # not the quote: a token of several characters may begin with it
    assert begun.forced == len(begun.tokens)
    assert constraint.advance(ord('"'), 90).tokens == (ord('"'),)
    step = constraint.advance(ord('"'), 89)
    assert text_of(step.tokens) == '", "age": '
    assert step.forced == len(step.tokens) - 1


def test_jump_forward_can_be_switched_off() -> None:
    constraint = GrammarCompiler(VOCABULARY, jump_forward=False).start(json_grammar(PERSON))
    assert constraint.begin(100).tokens == ()
    assert constraint.advance(ord("{"), 100).tokens == (ord("{"),)


@pytest.mark.parametrize("budget", range(1, 7))
def test_forced_tokens_stay_within_the_budget(compiler: GrammarCompiler, budget: int) -> None:
    constraint = compiler.start(regex_grammar("abcdefgh"))
    assert text_of(constraint.begin(budget).tokens) == "abcdefgh"[:budget]
    constraint = compiler.start(regex_grammar("[xy]abcdefgh"))
    assert text_of(constraint.advance(ord("x"), budget).tokens) == "xabcdefgh"[:budget]


def test_a_token_that_is_not_allowed_is_an_error(compiler: GrammarCompiler) -> None:
    constraint = compiler.start(regex_grammar("ab"))
    with pytest.raises(GrammarError):
        constraint.advance(ord("z"), 5)
    assert constraint.error
    other = compiler.start(regex_grammar("ab"))
    assert not other.error
    assert other.advance(ord("a"), 5).finished


def test_a_grammar_that_does_not_compile_is_an_error(compiler: GrammarCompiler) -> None:
    with pytest.raises(GrammarError) as caught:
        compiler.start(Grammar("start: nothing"))
    assert "\n" not in str(caught.value)


def test_constraints_of_one_grammar_are_independent(compiler: GrammarCompiler) -> None:
    grammar = regex_grammar("[ab][cd]")
    first, second = compiler.start(grammar), compiler.start(grammar)
    first.advance(ord("a"), 5)
    assert allowed(second) == {ord("a"), ord("b")}
    assert allowed(first) == {ord("c"), ord("d")}


def test_grammars_leave_the_cache_and_come_back() -> None:
    compiler = GrammarCompiler(VOCABULARY)
    for number in range(80):
        assert text_of(compiler.start(regex_grammar(f"n{number}")).begin(9).tokens) == f"n{number}"
    assert text_of(compiler.start(regex_grammar("n0")).begin(9).tokens) == "n0"


def test_drafts_are_counted_and_change_nothing(compiler: GrammarCompiler) -> None:
    constraint = compiler.start(regex_grammar("[ab]{3}"))
    assert constraint.allows(ids("abz")) == 2
    assert constraint.allows(ids("ab")) == 2
    assert constraint.allows([]) == 0
    assert allowed(constraint) == {ord("a"), ord("b")}


def test_masks_of_several_rows(compiler: GrammarCompiler) -> None:
    constraints = [compiler.start(regex_grammar(letter)) for letter in "abc"]
    masks = np.full((4, (len(VOCABULARY) + 31) // 32), -1, np.int32)
    fill_masks(constraints, masks)
    for row, letter in enumerate("abc"):
        logits = np.zeros(len(VOCABULARY), np.float32)
        apply_mask(masks[row], logits)
        assert np.flatnonzero(np.isfinite(logits)).tolist() == [ord(letter)]
    assert (masks[3] == -1).all()


CLOSINGS: list[tuple[dict[str, Any], str | bytes, str | None]] = [
    (PERSON, '{"name": "Bo', '", "age": 0}'),
    (PERSON, '{"name": "Bo", "age": 4', "}"),
    (PERSON, '{"name": "Bo", "age": -', "0}"),
    ({"type": "object"}, '{"a": [{"b": [1, [[{"x": "foo', '"}]]]}]}'),
    ({"type": "object"}, '{"a": tr', "ue}"),
    ({"type": "object"}, '{"a": 1.', "0}"),
    ({"type": "object"}, '{"a": "x\\', None),
    ({"type": "object"}, '{"a": "x\\u00', None),
    ({"type": "object"}, b'{"a": "\xe0\xa4', None),
    ({"type": "array", "minItems": 3, "items": {"type": "number"}}, "[1", ", 0, 0]"),
    ({"type": "string", "minLength": 20}, '"abc', None),
    ({"type": "string", "pattern": "^[0-9]{3}-[a-z]{4}$"}, '"12', None),
    ({"type": "string", "format": "date"}, '"20', None),
    ({"type": "string", "format": "email"}, '"a', None),
    ({"type": "integer", "minimum": 1, "multipleOf": 13}, "", "13"),
    ({"type": "integer", "minimum": 1000}, "1", "000"),
    ({"enum": ["a long and winding road", "zz", "another long one"]}, '"', 'zz"'),
    ({"anyOf": [PERSON, {"const": "short"}]}, '{"name": "', '", "age": 0}'),
]


@pytest.mark.parametrize(("schema", "prefix", "expected"), CLOSINGS)
def test_closing(schema: dict[str, Any], prefix: str | bytes, expected: str | None) -> None:
    constraint = at(schema, prefix)
    closing = constraint.closing()
    assert closing is not None
    begun = prefix.encode() if isinstance(prefix, str) else prefix
    whole = begun + b"".join(VOCABULARY.piece(token) for token in closing)
    jsonschema.validate(json.loads(whole), schema)
    if expected is not None:
        assert whole.decode() == (begun + expected.encode()).decode()
    assert not constraint.accepting or closing == ()


def test_a_vocabulary_with_two_tokens_for_a_byte_closes_what_may_go_on() -> None:
    """As SentencePiece's have, with a token for each byte beside those for texts."""
    doubled = FakeVocabulary(words=tuple('[]{}",: 0'))
    constraint = GrammarCompiler(doubled, jump_forward=False).start(json_grammar({"type": "object"}))
    for token in ids('{"a": [{"b": 1'):
        constraint.advance(token, 10_000)
    closing = constraint.closing()
    assert closing is not None
    assert b"".join(doubled.piece(token) for token in closing) == b"}]}"


def test_closing_where_the_answer_may_end_takes_nothing() -> None:
    assert at({"type": "integer"}, "12").closing() == ()


def test_no_closing_of_what_is_too_long() -> None:
    assert at({"type": "string", "minLength": 40_000}, '"').closing() is None


def test_a_grammar_that_never_ends_is_an_error(compiler: GrammarCompiler) -> None:
    with pytest.raises(GrammarError):
        compiler.start(Grammar("start: a\na: /x/ a")).closing()


def rambling(compiler: GrammarCompiler, schema: dict[str, Any], budget: int) -> tuple[str, bool]:
    """What sampling "x" for ever gives, once a string has begun; and whether it was closed."""
    constraint = compiler.start(json_grammar(schema))
    tokens, letter, closed = list(constraint.begin(budget).tokens), '"', False
    while len(tokens) < budget and not closed:
        step = constraint.advance(ord(letter), budget - len(tokens))
        tokens += step.tokens
        letter, closed = "x", step.closed
    return text_of(tokens), closed


@pytest.mark.parametrize("budget", [25, 26, 27, 40, 200])
def test_rambling_in_a_string_is_closed(compiler: GrammarCompiler, budget: int) -> None:
    text, closed = rambling(compiler, PERSON, budget)
    assert closed
    answer = json.loads(text)
    assert set(answer["name"]) <= {"x"}
    assert answer["age"] == 0
    assert len(answer["name"]) >= budget - 26


def test_wrap_up_can_be_switched_off() -> None:
    text, closed = rambling(GrammarCompiler(VOCABULARY, wrap_up=False), PERSON, 40)
    assert not closed
    assert text.endswith("xxx")


def test_only_closable_grammars_are_closed(compiler: GrammarCompiler) -> None:
    constraint = compiler.start(Grammar(json_grammar(PERSON).source, closable=False))
    used = len(constraint.begin(30).tokens)
    for remaining in range(30 - used, 0, -1):
        letter = ord('"' if remaining == 30 - used else "x")
        assert constraint.advance(letter, remaining).tokens == (letter,)


def test_an_answer_that_ends_in_time_is_not_closed(compiler: GrammarCompiler) -> None:
    constraint = compiler.start(json_grammar({"type": "boolean"}))
    step = constraint.advance(ord("t"), 4)
    assert text_of(step.tokens) == "true"
    assert (step.finished, step.closed) == (True, False)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 40))
def test_deep_structures_are_closed_within_the_budget(seed: int, spare: int) -> None:
    constraint = STEPWISE.start(json_grammar({"type": "object"}))
    rambler = Rambler(VOCABULARY, random.Random(seed))
    tokens = rambler.answer(constraint, 2 + spare)
    assert len(tokens) <= 2 + spare
    assert isinstance(json.loads(rambler.text(tokens)), dict)


def test_a_token_that_opens_more_than_remains_is_not_taken() -> None:
    """An optional array of 300 items is begun only where it can be ended."""
    numbers = {"type": "array", "minItems": 300, "items": {"type": "integer"}}
    schema = {"type": "object", "properties": {"x": {"type": "string"}, "a": numbers}, "additionalProperties": False}
    taken = 0
    for seed in range(16):
        rng = random.Random(seed)
        rambler = Rambler(VOCABULARY, rng)
        tokens = rambler.answer(STEPWISE.start(json_grammar(schema)), rng.randint(100, 1500))
        answer = json.loads(rambler.text(tokens))
        jsonschema.validate(answer, schema)
        taken += "a" in answer
    assert 0 < taken < 16
