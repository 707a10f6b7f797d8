"""Schemas without `strict`: what no grammar enforces is checked in the finished answer, or refused"""

import json
from typing import Any

import jsonschema
import pytest

from ggufrun.chat.answer_check import AnswerCheck
from ggufrun.chat.constraints import GrammarFactory
from ggufrun.chat.types import ChatRequest, Constraint
from ggufrun.errors import SchemaError
from tests.chat.grammars import CITY, COMPILER, VOCABULARY, compiled, prompt, ramble


@pytest.fixture(scope="module")
def factory() -> GrammarFactory:
    return GrammarFactory(VOCABULARY)


@pytest.mark.parametrize(
    ("schema", "kept"),
    [
        ({"type": "array", "uniqueItems": True}, {"type": "array"}),
        ({"items": {"type": "string", "not": {"pattern": "a"}}}, {"items": {"type": "string"}}),
        (
            {"properties": {"a": {"not": {"pattern": "a"}}}, "additionalProperties": False},
            {"additionalProperties": False},
        ),
        (
            {"patternProperties": {"^a": {}, "b$": {}}, "additionalProperties": False, "type": "object"},
            {"type": "object"},
        ),
        ({"oneOf": [{"pattern": "a", "type": "string"}, {"type": "string"}]}, {"type": "string"}),
        ({"$ref": "#/not", "type": "string", "not": {"pattern": "a"}}, {"type": "string"}),
    ],
)
def test_without_strict_the_rest_is_enforced_and_the_answer_checked(
    factory: GrammarFactory, schema: Any, kept: Any
) -> None:
    request = ChatRequest(messages=(), constraint=Constraint("json_schema", schema=schema, strict=False))
    grammar = compiled(factory, request)
    for seed in range(6):
        jsonschema.validate(json.loads(ramble(grammar, seed, grammar.shortest + 5 * seed)), kept)
    check = factory.check(request)
    assert check is not None and check.schema == json.dumps(schema)
    if "patternProperties" in schema:  # what it allowed is still allowed
        assert COMPILER.start(grammar).allows(list(b'{"ab": 1}')) == 9


def test_what_is_enforced_in_full_needs_no_check(factory: GrammarFactory) -> None:
    for schema in (CITY, {"not": {"type": "string"}}, {"type": "array", "uniqueItems": True, "maxItems": 1}):
        strict, loose = (
            ChatRequest(messages=(), constraint=Constraint("json_schema", schema=schema, strict=each))
            for each in (True, False)
        )
        assert compiled(factory, strict) == compiled(factory, loose)
        assert factory.check(strict) == factory.check(loose) == AnswerCheck()


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"items": {"$ref": "https://example.org/schema"}}, "/items/$ref"),
        ({"$ref": "#/nowhere"}, "/$ref"),
        ({"$dynamicRef": "other#x", "minimum": 1}, "/$dynamicRef"),
        ({"$schema": "https://example.org/mine", "type": "string"}, "/$schema"),
        ({"uniqueItems": True, "minLength": -1}, "/minLength"),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "/allOf"),
    ],
)
def test_what_cannot_be_checked_either_is_refused(factory: GrammarFactory, schema: Any, pointer: str) -> None:
    request = ChatRequest(messages=(), constraint=Constraint("json_schema", schema=schema, strict=False))
    with pytest.raises(SchemaError) as caught:
        factory(request, prompt())
        factory.check(request)
    assert caught.value.pointer == pointer
