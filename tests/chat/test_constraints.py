"""Constraints as grammars: what is refused and where, and that random answers under small budgets always validate."""

import json
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ggufrun.chat.answer_check import AnswerCheck
from ggufrun.chat.constraints import GrammarFactory
from ggufrun.chat.encoded import EncodedPrompt
from ggufrun.chat.style import OutputStyle
from ggufrun.chat.types import (
    ChatOptions,
    ChatRequest,
    Constraint,
    Function,
    NamedFunction,
    NamedTool,
    Tool,
    ToolChoice,
)
from ggufrun.engine.grammar import GrammarCompiler
from ggufrun.engine.types import Grammar
from ggufrun.engine.vocabulary import Vocabulary
from ggufrun.errors import RequestError, SchemaError
from tests.fakes import FakeVocabulary
from tests.random_schemas import Rambler, random_schema

WORDS = ('{"', '": "', '"}', ', "', '"]', "}}", "]}", "[]", "{}", '""', " null", "true", "false", "name", "    ", "</")
VOCABULARY = FakeVocabulary(words=WORDS)
PLAIN = OutputStyle()
HERMES = OutputStyle(tool_calls="hermes")
V3 = OutputStyle(tool_calls="mistral", special={"[TOOL_CALLS]": VOCABULARY.special["[TOOL_CALLS]"]})
V13 = OutputStyle("tokens", tool_calls="mistral", special=VOCABULARY.special)
COMPILER = GrammarCompiler(VOCABULARY)


@pytest.fixture(scope="module")
def factory() -> GrammarFactory:
    return GrammarFactory(VOCABULARY)


def prompt(style: OutputStyle = PLAIN, prefix: str = "") -> EncodedPrompt:
    return EncodedPrompt(tokens=(1,), style=style, dialect="template", prefix_text=prefix)


def json_request(schema: Any, max_tokens: int | None = None) -> ChatRequest:
    constraint = Constraint("json_schema", schema=schema)
    return ChatRequest(messages=(), constraint=constraint, options=ChatOptions(max_tokens=max_tokens))


def compiled(factory: GrammarFactory, request: ChatRequest, style: OutputStyle = PLAIN) -> Grammar:
    grammar = factory(request, prompt(style))
    assert grammar is not None
    return grammar


def ramble(grammar: Grammar, seed: int, budget: int) -> str:
    rambler = Rambler(VOCABULARY, random.Random(seed))
    return rambler.text(rambler.answer(COMPILER.start(grammar), budget))


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


CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"$ref": "#/$defs/days"}},
    "required": ["city", "days"],
    "additionalProperties": False,
    "$defs": {"days": {"type": "integer", "minimum": 1}},
}


def tool(name: str, parameters: dict[str, Any] | None = None) -> Tool:
    return Tool(function=Function(name=name, parameters=parameters or {}))


def calling(choice: ToolChoice, parallel: bool = False, **more: Any) -> ChatRequest:
    tools = (tool("get_weather", CITY), tool("now"))
    return ChatRequest(messages=(), tools=tools, tool_choice=choice, parallel_tool_calls=parallel, **more)


def named(name: str) -> NamedTool:
    return NamedTool(function=NamedFunction(name=name))


def read_calls(text: str, style: OutputStyle) -> list[tuple[str, Any]]:
    """The calls in an answer, by a reading of the formats that is independent of the parsers."""
    if style.tool_calls == "hermes":
        parts = text.removeprefix("<tool_call>\n").removesuffix("\n</tool_call>").split("\n</tool_call>\n<tool_call>\n")
        found = [json.loads(part) for part in parts]
    elif "[ARGS]" in style.special:
        answer = text.split("[/THINK]")[-1]
        pairs = [call.split("[ARGS]") for call in answer.removeprefix("[TOOL_CALLS]").split("[TOOL_CALLS]")]
        return [(name, json.loads(arguments)) for name, arguments in pairs]
    else:
        found = json.loads(text.removeprefix("[TOOL_CALLS]"))
    return [(call["name"], call["arguments"]) for call in found]


@pytest.mark.parametrize("style", [HERMES, V3, V13], ids=["hermes", "v3", "v13"])
@pytest.mark.parametrize("choice", ["any", "required", named("get_weather")], ids=["any", "required", "named"])
def test_a_forced_call_is_made(factory: GrammarFactory, style: OutputStyle, choice: ToolChoice) -> None:
    grammar = compiled(factory, calling(choice), style)
    for seed in range(8):
        text = ramble(grammar, seed, grammar.shortest + 5 * seed)
        [(name, arguments)] = read_calls(text, style)
        if not isinstance(choice, str):
            assert name == "get_weather"
        jsonschema.validate(arguments, CITY if name == "get_weather" else {"maxProperties": 0})


@pytest.mark.parametrize("style", [HERMES, V3, V13], ids=["hermes", "v3", "v13"])
def test_parallel_calls_are_allowed_on_request(factory: GrammarFactory, style: OutputStyle) -> None:
    grammar = compiled(factory, calling("any", parallel=True), style)
    counts = {len(read_calls(ramble(grammar, seed, 400), style)) for seed in range(12)}
    assert max(counts) > 1


@pytest.mark.parametrize("style", [HERMES, V3, V13], ids=["hermes", "v3", "v13"])
def test_patterns_in_arguments_are_closed(factory: GrammarFactory, style: OutputStyle) -> None:
    sku = {"sku": {"type": "string", "pattern": "[A-Z]{3}-[0-9]{4}"}}
    order = {"type": "object", "properties": sku, "required": ["sku"], "additionalProperties": False}
    request = ChatRequest(messages=(), tools=(tool("order", order),), tool_choice="any")
    grammar = compiled(factory, request, style)
    assert grammar.hints == ("AAA-0000",)
    for seed in range(8):
        text = ramble(grammar, seed, grammar.shortest + 9 * seed)
        assert [name for name, _ in read_calls(text, style)] == ["order"]
        jsonschema.validate(read_calls(text, style)[0][1], order)


def test_json_or_a_call_where_tools_are_at_hand(factory: GrammarFactory) -> None:
    request = calling("auto", constraint=Constraint("json_schema", schema=CITY))
    for style in (HERMES, V13):
        answers = [ramble(compiled(factory, request, style), seed, 120) for seed in range(30)]
        called = [answer for answer in answers if "get_weather" in answer or "now" in answer]
        assert 0 < len(called) < len(answers)


def test_thinking_comes_before_the_answer(factory: GrammarFactory) -> None:
    style = OutputStyle("tokens", starts_in_thinking=True, special=VOCABULARY.special)
    grammar = compiled(factory, json_request(CITY), style)
    for seed in range(5):
        thought, answer = ramble(grammar, seed, grammar.shortest + 20).split("[/THINK]")
        assert thought
        jsonschema.validate(json.loads(answer), CITY)
    by_text = compiled(factory, json_request(CITY), OutputStyle("markers", starts_in_thinking=True))
    answer = 'well</think>\n{"city": "Bonn", "days": 2}'
    assert COMPILER.start(by_text).allows(list(answer.encode())) == len(answer)


def test_tool_arguments_that_cannot_be_enforced_are_refused(factory: GrammarFactory) -> None:
    unique = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}
    bad = Tool(function=Function(name="b", parameters=unique, strict=True))
    request = ChatRequest(messages=(), tools=(tool("a", CITY), bad), tool_choice="any")
    with pytest.raises(SchemaError) as caught:
        factory(request, prompt(HERMES))
    assert (caught.value.param, caught.value.pointer) == ("tools", "/1/function/parameters/properties/a/uniqueItems")
    request = ChatRequest(messages=(), tools=(tool("a", {"type": "array"}),), tool_choice=named("a"))
    with pytest.raises(SchemaError) as caught:
        factory(request, prompt(HERMES))
    assert caught.value.pointer == "/0/function/parameters/type"


def test_contradictions_are_refused(factory: GrammarFactory) -> None:
    with pytest.raises(RequestError, match="response_format"):
        factory(calling("any", constraint=Constraint("json_object")), prompt(HERMES))
    with pytest.raises(RequestError, match="no tool calls"):
        factory(calling("any"), prompt(PLAIN))
    with pytest.raises(RequestError, match="beginning"):
        factory(json_request({}), prompt(prefix='{"a":'))


NOT_ENFORCED: list[Any] = [
    {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}, "required": ["a"]},
    {"type": "object", "properties": {"a": {"format": "iri"}, "b": {"mine": 1}}, "required": ["a", "b"]},
    {"type": ["object", "null"], "properties": {"a": False}, "required": ["a"]},  # nothing satisfies it
    {"type": "object", "properties": {"a": {"$ref": "https://example.org/"}}},
]


@pytest.mark.parametrize("parameters", NOT_ENFORCED)
def test_a_tool_that_is_not_strict_is_enforced_as_far_as_it_can_be(
    factory: GrammarFactory, parameters: dict[str, Any]
) -> None:
    request = ChatRequest(messages=(), tools=(tool("f", parameters),), tool_choice="any")
    grammar = compiled(factory, request, HERMES)
    for seed in range(4):
        [(name, arguments)] = read_calls(ramble(grammar, seed, grammar.shortest + 9 * seed), HERMES)
        assert name == "f" and isinstance(arguments, dict)
        if "array" in str(parameters):
            assert isinstance(arguments["a"], list)


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
