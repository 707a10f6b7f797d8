"""Grammars of tool calls, in every format: forced ones, several, beside JSON or behind a thought, and not strict"""

import json
from typing import Any

import jsonschema
import pytest

from ggufrun.chat.constraints import GrammarFactory
from ggufrun.chat.style import OutputStyle
from ggufrun.chat.types import ChatRequest, Constraint, Function, Tool, ToolChoice
from ggufrun.errors import RequestError, SchemaError
from tests.chat.grammars import (
    CITY,
    COMPILER,
    HERMES,
    PLAIN,
    V3,
    V13,
    VOCABULARY,
    calling,
    compiled,
    json_request,
    named,
    prompt,
    ramble,
    read_calls,
    tool,
)


@pytest.fixture(scope="module")
def factory() -> GrammarFactory:
    return GrammarFactory(VOCABULARY)


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
