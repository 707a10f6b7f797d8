"""Constraints as grammars: what is refused and where, and that random answers under small budgets always validate."""

import json
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ggufrun.chat.constraints import GrammarFactory
from ggufrun.chat.types import ChatRequest, Constraint
from ggufrun.engine.grammar import GrammarCompiler
from ggufrun.engine.vocabulary import Vocabulary
from ggufrun.errors import SchemaError
from tests.chat.grammars import HERMES, VOCABULARY, compiled, json_request, prompt, ramble, tool
from tests.random_schemas import Rambler, random_schema


@pytest.fixture(scope="module")
def factory() -> GrammarFactory:
    return GrammarFactory(VOCABULARY)


def test_a_free_answer_has_no_grammar(factory: GrammarFactory) -> None:
    assert factory(ChatRequest(messages=()), prompt()) is None
    assert factory(ChatRequest(messages=(), tools=(tool("f"),)), prompt(HERMES)) is None


REFUSED: list[tuple[Any, str]] = [
    (False, ""),
    ({"enum": []}, "/enum"),
    ({"type": "strin"}, "/type"),
    ({"type": "string", "minLength": -1}, "/minLength"),
    ({"type": "string", "minlength": 3}, "/minlength"),
    ({"properties": {"a": {"properties": {"b": {"not": {"pattern": "x"}}}}}}, "/properties/a/properties/b/not"),
    (
        {"properties": {"a/b~": {"prefixItems": [True, {"if": {"pattern": "x"}, "then": {"minLength": 3}}]}}},
        "/properties/a~1b~0/prefixItems/1/if",
    ),
    ({"items": {"type": "string", "pattern": "(?=a)b"}}, "/items/pattern"),
    ({"items": {"type": "string", "pattern": "("}}, "/items/pattern"),
    (
        {"properties": {"a": {"$ref": "#/$defs/x"}, "z": False}, "$defs": {"x": {"anyOf": [{"format": "foo"}]}}},
        "/$defs/x/anyOf/0/format",
    ),
    ({"$ref": "https://example.org/schema"}, "/$ref"),
    ({"items": {"$ref": "#/$defs/x"}}, "/items/$ref"),
    ({"items": {"$ref": "#name"}}, "/items/$ref"),
    ({"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 5, "maxLength": 2}}, "/items/minLength"),
    ({"type": "integer", "minimum": 5, "maximum": 2}, "/minimum"),
    ({"type": "object", "properties": {"a": False, "b": False}, "required": ["b"]}, "/properties/b"),
    ({"properties": {"v": {"oneOf": [{"type": "number"}, {"type": "integer"}]}}}, "/properties/v/oneOf"),
    ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "/allOf"),
    ({"type": "object", "minProperties": 2}, "/minProperties"),
    ({"type": "array", "minItems": 100_000}, "/minItems"),
    ({"type": "array", "items": {"uniqueItems": True}}, "/items/uniqueItems"),
    ({"type": "array", "contains": {"type": "string"}}, "/contains"),
    ({"type": "object", "propertyNames": {"maxLength": 3, "pattern": "a"}}, "/propertyNames"),
    ({"type": "object", "dependencies": {f"a{i}": ["b"] for i in range(9)}}, "/dependencies"),
    ({"type": "object", "dependentRequired": {f"a{i}": ["b"] for i in range(9)}}, "/dependentRequired"),
    ({"anyOf": [True, {"properties": {"a": {}}}], "unevaluatedProperties": False}, "/unevaluatedProperties"),
    ({"nullable": True, "type": "string"}, "/nullable"),
    ({"const": 2**53 + 1}, "/const"),
    ({"enum": [1, {"a": [10**400]}]}, "/enum"),
    ({"multipleOf": 0}, "/multipleOf"),
    ({"prefixItems": [{}], "additionalItems": False}, "/prefixItems"),
    ({"$schema": "https://example.org/mine"}, "/$schema"),
    ({"items": {"$id": "https://example.org/x", "not": {"pattern": "x"}}}, "/items/not"),
    ({"patternProperties": {"^a": {}, "b$": {}}}, "/patternProperties"),
    ({"items": 5}, "/items"),
    ({"anyOf": [3]}, "/anyOf/0"),
    ({"required": "a"}, "/required"),
    ({"properties": {f"p{i}": {} for i in range(3000)}}, "/properties"),
]


@pytest.mark.parametrize(("schema", "pointer"), REFUSED)
def test_a_schema_that_cannot_be_enforced_is_refused_with_the_pointer(
    factory: GrammarFactory, schema: Any, pointer: str
) -> None:
    with pytest.raises(SchemaError) as caught:
        factory(json_request(schema), prompt())
    assert caught.value.pointer == pointer
    assert caught.value.param == "response_format"
    assert "\n" not in str(caught.value)


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        nested(500),
        {"$ref": "#"},
        {"properties": {"r": {"$ref": "#"}}, "required": ["r"], "type": "object"},
        {"enum": [f"value {i}" for i in range(60_000)]},
    ],
    ids=["deep", "self", "endless", "large"],
)
def test_a_schema_beyond_the_limits_is_refused(factory: GrammarFactory, schema: Any) -> None:
    with pytest.raises(SchemaError):
        factory(json_request(schema), prompt())


ACCEPTED: list[Any] = [
    True,
    {},
    {"type": "array", "uniqueItems": False},
    {
        "title": "T",
        "description": "D",
        "default": 1,
        "examples": [1],
        "deprecated": True,
        "x-mine": 1,
        "type": "integer",
    },
    {"type": "integer", "format": "int32"},
    {"type": "array", "minItems": 2.0, "items": {"type": "null"}},
    {"properties": {"a": False}, "type": "object"},
    {"$ref": "#/definitions/t", "definitions": {"t": {"type": "array", "items": {"$ref": "#/definitions/t"}}}},
    {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "null"}], "type": "array"},
    {"oneOf": [{"type": "string"}, {"type": "null"}]},
    {"type": "object", "minProperties": 1},
    {"$defs": {"unused": {"not": {}}}, "type": "boolean"},
]


@pytest.mark.parametrize("schema", ACCEPTED)
def test_a_schema_that_can_be_enforced_is_taken(factory: GrammarFactory, schema: Any) -> None:
    grammar = compiled(factory, json_request(schema))
    assert grammar.closable
    for seed in range(3):
        jsonschema.validate(json.loads(ramble(grammar, seed, grammar.shortest + 10)), schema)


def test_any_object(factory: GrammarFactory) -> None:
    grammar = compiled(factory, ChatRequest(messages=(), constraint=Constraint("json_object")))
    assert grammar.shortest == 1
    assert ramble(grammar, 0, 1) == "{}"


def test_the_shortest_answer_is_counted_closer_for_a_small_budget(factory: GrammarFactory) -> None:
    schema = {"anyOf": [{"enum": ["a rather long answer"]}, {"enum": [7]}]}
    assert compiled(factory, json_request(schema, max_tokens=1)).shortest == 1


def share_of_valid(vocabulary: Vocabulary, factory: GrammarFactory, schemas: int) -> float:
    rng, compiler = random.Random(7), GrammarCompiler(vocabulary)
    rambler, valid, refused = Rambler(vocabulary, rng), 0, 0
    for _ in range(schemas):
        schema = random_schema(rng)
        try:
            grammar = compiled(factory, json_request(schema))
        except SchemaError:
            refused += 1
            continue
        budget = grammar.shortest + rng.choice((0, 1, 2, 5, 20, 80))
        tokens = rambler.answer(compiler.start(grammar), budget)
        assert len(tokens) <= budget
        try:
            jsonschema.validate(json.loads(rambler.text(tokens)), schema)
            valid += 1
        except (ValueError, jsonschema.ValidationError):
            continue
    assert refused < schemas / 50
    return valid / (schemas - refused)


@pytest.mark.parametrize("schemas", [100, pytest.param(600, marks=pytest.mark.slow)])
def test_random_answers_to_random_schemas_validate(factory: GrammarFactory, schemas: int) -> None:
    assert share_of_valid(VOCABULARY, factory, schemas) >= 0.99


@pytest.mark.model
def test_random_answers_validate_with_a_real_vocabulary(demo_path: Path) -> None:
    from ggufrun.llama.vocabulary import LlamaVocabulary

    vocabulary = LlamaVocabulary.from_path(demo_path)
    try:
        assert share_of_valid(vocabulary, GrammarFactory(vocabulary), 40) >= 0.99
    finally:
        vocabulary.close()


def test_regex_lark_and_gbnf(factory: GrammarFactory) -> None:
    for constraint in (
        Constraint("regex", source="(yes|yeah)!"),
        Constraint("lark", source='start: ("yes" | "yeah") "!"'),
        Constraint("gbnf", source='root ::= ("yes" | "yeah") "!"'),
    ):
        grammar = compiled(factory, ChatRequest(messages=(), constraint=constraint))
        assert not grammar.closable
        assert {ramble(grammar, seed, 9) for seed in range(9)} == {"yes!", "yeah!"}


@pytest.mark.parametrize(
    "constraint",
    [
        Constraint("regex", source="(?=a)"),
        Constraint("regex", source="("),
        Constraint("lark", source="start: nothing"),
        Constraint("lark", source="begin: /a/"),
        Constraint("gbnf", source="root ::= nothing"),
        Constraint("gbnf", source='answer ::= "x"'),
        Constraint("gbnf", source='root = "x"'),
    ],
)
def test_a_bad_grammar_is_refused(factory: GrammarFactory, constraint: Constraint) -> None:
    with pytest.raises(SchemaError) as caught:
        factory(ChatRequest(messages=(), constraint=constraint), prompt())
    assert "\n" not in str(caught.value)
