"""What mistral-common writes as an assistant's turn, our parser reads back, for each tokenizer version."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from mistral_common.protocol.instruct.chunk import TextChunk, ThinkChunk
from mistral_common.protocol.instruct.messages import AssistantMessage
from mistral_common.protocol.instruct.tool_calls import FunctionCall, ToolCall

from ggufrun.chat.output import ChoiceOutput
from ggufrun.chat.parse_call import Delta
from ggufrun.chat.style import OutputStyle
from ggufrun.chat.types import TextDelta, ThinkingDelta, ToolCallDelta
from tests.chat.vocab import VERSIONS, TekkenVocabulary, reference, special_names

ARGUMENTS = [{"city": "Zürich", "note": 'नमस्ते "<tool>" {[', "days": [1, 2.5, None]}, {}]
CALLS = [
    ToolCall(id=f"aB3dE6gH{at}", function=FunctionCall(name=f"get_weather{at}", arguments=json.dumps(value)))
    for at, value in enumerate(ARGUMENTS)
]


def written(version: str, message: AssistantMessage) -> list[int]:
    """The turn's tokens without the end token, which the engine leaves out too."""
    layout: Any = reference(version).instruct_tokenizer
    tokens: list[int] = layout.encode_assistant_message(message, False)
    assert tokens[-1] == 2
    return tokens[:-1]


def read(version: str, tokens: Sequence[int], size: int) -> list[Delta]:
    vocabulary = TekkenVocabulary(version)
    style = OutputStyle("tokens", False, "mistral", {name: at for at, name in enumerate(special_names(version))})
    output = ChoiceOutput(vocabulary, style)
    deltas = [delta for at in range(0, len(tokens), size) for delta in output.feed(tokens[at : at + size])]
    return deltas + output.finish()


def calls_in(deltas: Sequence[Delta]) -> list[tuple[str, Any]]:
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    for delta in deltas:
        if isinstance(delta, ToolCallDelta):
            names[delta.index] = names.get(delta.index, "") + delta.name
            arguments[delta.index] = arguments.get(delta.index, "") + delta.arguments
    return [(names[index], json.loads(arguments[index])) for index in sorted(names)]


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("version", VERSIONS)
def test_tool_calls(version: str, size: int) -> None:
    deltas = read(version, written(version, AssistantMessage(tool_calls=CALLS)), size)
    assert calls_in(deltas) == [(f"get_weather{at}", value) for at, value in enumerate(ARGUMENTS)]
    assert not any(isinstance(delta, TextDelta) for delta in deltas)


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("version", ["v13", "v15"])
def test_thinking_text_and_a_call(version: str, size: int) -> None:
    message = AssistantMessage(
        content=[ThinkChunk(thinking="Hm — wozu?", closed=True), TextChunk(text="Ça va. ")], tool_calls=CALLS[:1]
    )
    deltas = read(version, written(version, message), size)
    thinking = [delta for delta in deltas if isinstance(delta, ThinkingDelta)]
    assert "".join(delta.text for delta in thinking) == "Hm — wozu?"
    assert [delta.closed for delta in thinking] == [False] * (len(thinking) - 1) + [True]
    assert "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)).strip() == "Ça va."
    assert len(calls_in(deltas)) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_text_in_many_scripts_comes_back_whole(version: str) -> None:
    text = "नमस्ते दुनिया 👩‍👩‍👧 Ĳssel\n\tкод 漢字"
    deltas = read(version, written(version, AssistantMessage(content=text)), 1)
    assert all(isinstance(delta, TextDelta) and "\ufffd" not in delta.text for delta in deltas)
    assert "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)) == text
