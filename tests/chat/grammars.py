"""Short ways to ask for grammars, to answer at random under them, and to read tool calls by another reader than ours"""

import json
import random
from typing import Any

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
from tests.fakes import FakeVocabulary
from tests.random_schemas import Rambler

WORDS = ('{"', '": "', '"}', ', "', '"]', "}}", "]}", "[]", "{}", '""', " null", "true", "false", "name", "    ", "</")
VOCABULARY = FakeVocabulary(words=WORDS)
PLAIN = OutputStyle()
HERMES = OutputStyle(tool_calls="hermes")
V3 = OutputStyle(tool_calls="mistral", special={"[TOOL_CALLS]": VOCABULARY.special["[TOOL_CALLS]"]})
V13 = OutputStyle("tokens", tool_calls="mistral", special=VOCABULARY.special)
COMPILER = GrammarCompiler(VOCABULARY)
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"$ref": "#/$defs/days"}},
    "required": ["city", "days"],
    "additionalProperties": False,
    "$defs": {"days": {"type": "integer", "minimum": 1}},
}


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
