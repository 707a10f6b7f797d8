"""Hints: texts that lead out of a JSON string which nothing closes."""

import json
import random
from typing import Any

import jsonschema
import pytest
from llguidance import LLMatcher

from ggufrun.engine.grammar import Constraint, GrammarCompiler
from ggufrun.engine.types import Grammar
from tests.fakes import FakeVocabulary
from tests.random_schemas import Rambler

VOCABULARY = FakeVocabulary(words=('"}', ', "', '": "', '""', "00", "    "))
COMPILER = GrammarCompiler(VOCABULARY, jump_forward=False)
FORM = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
DIGITS = {"type": "string", "pattern": "[0-9]{2}-[0-9]{2}"}


def grammar(schema: dict[str, Any], *hints: str) -> Grammar:
    return Grammar(LLMatcher.grammar_from_json_schema({**schema, "x-guidance": FORM}), closable=True, hints=hints)


def at(begun: str, schema: dict[str, Any], *hints: str) -> Constraint:
    constraint = COMPILER.start(grammar(schema, *hints))
    for byte in begun.encode():
        constraint.advance(byte, 100_000)
    return constraint


def closed(begun: str, schema: dict[str, Any], *hints: str) -> str | None:
    """The whole answer that a closing behind `begun` gives."""
    closing = at(begun, schema, *hints).closing(fits=10_000)
    if closing is None:
        return None
    text = begun + b"".join(VOCABULARY.piece(token) for token in closing).decode()
    jsonschema.validate(json.loads(text), schema)
    return text


def test_a_hint_ends_a_string_that_nothing_closes() -> None:
    assert closed('"some text', DIGITS) is None
    assert closed('"some text', DIGITS, "00-00") == '"some text00-00"'
    assert closed('"', DIGITS, "00-00") == '"00-00"'
    assert closed("", DIGITS, "00-00") is not None


@pytest.mark.parametrize("begun", ["7", "78", "78-", "78-9"])
def test_what_is_written_of_it_is_not_written_again(begun: str) -> None:
    answer = closed(f'"a {begun}', DIGITS, "00-00")
    assert answer is not None
    assert len(answer) == len('"a 78-90"')


def test_what_is_written_counts_where_the_whole_hint_does_not_fit() -> None:
    anchored = {"type": "string", "pattern": "^foo@[^@]*bar!$"}
    assert closed('"foo@x', anchored, "foo@bar!") == '"foo@xbar!"'
    assert closed('"foo@xba', anchored, "foo@bar!") == '"foo@xbar!"'


def test_a_hint_comes_as_soon_as_it_can() -> None:
    answer = closed('"x\\u00', DIGITS, "00-00")
    assert answer is not None
    assert len(answer) == len('"x\\u001f00-00"')


def test_hints_that_do_not_fit_are_passed_over() -> None:
    assert closed('"ab', DIGITS, "zzz", "", "</s>", "\\n", '\\"', "x" * 400, "00-00") == '"ab00-00"'
    assert closed('"ab', {"type": "string"}, "zzz") == '"ab"'
    assert closed("1", {"type": "integer"}, "zzz") == "1"


def test_hints_are_written_as_in_json() -> None:
    assert closed('"x', {"type": "string", "pattern": '"[^"]+"'}, '\\"a\\"') == '"x\\"a\\""'


def test_a_place_behind_forced_and_likely_characters_is_reached() -> None:
    assert closed('"X', {"type": "string", "pattern": "^X[0-9]{2}-.*[A-Z]!$"}, "X00-A!") == '"X00-A!"'


@pytest.mark.parametrize("count", [1, 40])
def test_every_string_gets_its_own(count: int) -> None:
    names = [f"p{i}" for i in range(count)]
    properties = {name: {"type": "string", "pattern": f"K{name}-[0-9]"} for name in names}
    schema = {"type": "object", "properties": properties, "required": names, "additionalProperties": False}
    answer = closed('{"p0": "text', schema, *(f"K{name}-0" for name in names))
    assert answer is not None
    assert list(json.loads(answer)) == names


def test_a_known_grammar_takes_other_hints() -> None:
    compiler = GrammarCompiler(VOCABULARY)
    assert compiler.start(grammar(DIGITS)).closing() is None
    assert compiler.start(grammar(DIGITS, "11-11")).closing() is not None
    assert compiler.start(grammar(DIGITS)).closing() is None


@pytest.mark.parametrize("hint", ["00-00", "12-34"])
def test_rambling_answers_are_closed_within_the_budget(hint: str) -> None:
    schema = {"type": "object", "properties": {"a": DIGITS, "b": DIGITS}, "required": ["a", "b"]}
    for seed in range(40):
        rng = random.Random(seed)
        rambler = Rambler(VOCABULARY, rng)
        budget = 40 + rng.randrange(80)
        tokens = rambler.answer(COMPILER.start(grammar(schema, hint)), budget)
        assert len(tokens) <= budget
        jsonschema.validate(json.loads(rambler.text(tokens)), schema)
