"""The calls of the examples that Mistral publishes with its Python SDK (`examples/mistral`), without their texts.

Only the address and the model's name are others; what the model says is noise.
"""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from mistralai.client import Mistral
from mistralai.client.models import (
    AssistantMessage,
    Function,
    SystemMessage,
    TextChunk,
    ThinkChunk,
    Tool,
    ToolMessage,
    UserMessage,
)
from pydantic import BaseModel

from tests.api.served import Served

pytestmark = pytest.mark.model
MODEL = "mistral-medium-3-5"  # as the examples write it
CODE = "class Cheese:\n    name: str\n"


class Step(BaseModel):
    explanation: str
    output: str


class Solution(BaseModel):
    steps: list[Step]
    final_answer: str


SOLUTION: dict[str, Any] = {
    "$defs": {"Step": {
        "properties": {name: {"title": name, "type": "string"} for name in ("explanation", "output")},
        "required": ["explanation", "output"], "title": "Step", "type": "object", "additionalProperties": False,
    }},
    "properties": {
        "steps": {"items": {"$ref": "#/$defs/Step"}, "title": "Steps", "type": "array"},
        "final_answer": {"title": "Final Answer", "type": "string"},
    },
    "required": ["steps", "final_answer"], "title": "Solution", "type": "object", "additionalProperties": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def client(tiny_server: Served) -> Iterator[Any]:
    """Of no type: whoever writes such a script does not check for None at each step either."""
    with Mistral(api_key="local", server_url=str(tiny_server.client.base_url), timeout_ms=60_000) as client:
        yield client


def ask(text: str) -> list[Any]:
    return [UserMessage(content=text)]


def text_of(content: Any) -> str:
    parts = [content] if isinstance(content, str) else [part.text for part in content if isinstance(part, TextChunk)]
    return "".join(parts)


def status_tool(name: str) -> Tool:
    parameters = {
        "type": "object",
        "required": ["transaction_id"],
        "properties": {"transaction_id": {"type": "string", "description": "The id."}},
    }
    return Tool(function=Function(name=name, description="Of a transaction", parameters=parameters))


def test_chat(client: Any) -> None:
    assert client.chat.complete(model=MODEL, messages=ask("Which cheese is best?")).choices[0].message.content
    pieces = [event.data.choices[0].delta.content for event in client.chat.stream(model=MODEL, messages=ask("Hi"))]
    assert "".join(piece for piece in pieces if isinstance(piece, str))


def test_chat_async(tiny_server: Served) -> None:
    async def run() -> None:
        client: Any
        async with Mistral(api_key="local", server_url=str(tiny_server.client.base_url)) as client:
            assert (await client.chat.complete_async(model=MODEL, messages=ask("Hi"))).choices[0].message.content
            stream = await client.chat.stream_async(model=MODEL, messages=ask("Hi"))
            assert [event async for event in stream if event.data.choices[0].delta.content]
            parsed = await client.chat.parse_async(model=MODEL, messages=ask("8x = 16"), response_format=Solution)
            assert isinstance(parsed.choices[0].message.parsed, Solution)
            assert (await client.models.list_async()).data
            filled = await client.fim.complete_async(model=MODEL, prompt="def f(n: int):", suffix="print(f(2))")
            assert filled.choices[0].message.content

    asyncio.run(run())


def test_a_chatbot(client: Any) -> None:
    messages: list[Any] = [SystemMessage(content="Be polite.")]
    for question in ("Hello!", "And now?"):
        messages.append(UserMessage(content=question))
        answer = ""
        for chunk in client.chat.stream(model=MODEL, temperature=0.7, messages=messages):
            response = chunk.data.choices[0].delta.content
            if response is not None:
                answer += str(response)
        messages.append(AssistantMessage(content=answer))
    assert len(messages) == 5 and answer


def test_prediction(client: Any) -> None:
    messages = [UserMessage(content="Add a price. Only code."), UserMessage(content=CODE)]
    prediction: Any = {"type": "content", "content": CODE}
    assert client.chat.complete(model=MODEL, messages=messages, prediction=prediction).choices[0].message.content


def test_function_calling(client: Any) -> None:
    """Where the example counts on the model to call, `any` makes it."""
    tools = [status_tool("payment_status"), status_tool("payment_date")]
    messages = ask("What's the status of my transaction?")
    first = client.chat.complete(model=MODEL, messages=messages, tools=tools, temperature=0).choices[0].message
    messages += [AssistantMessage(content=first.content), UserMessage(content="My id is T1001.")]
    response = client.chat.complete(model=MODEL, messages=messages, tools=tools, tool_choice="any", temperature=0)
    message = response.choices[0].message
    call = message.tool_calls[0]
    assert isinstance(json.loads(str(call.function.arguments))["transaction_id"], str)
    messages.append(AssistantMessage(content=message.content, tool_calls=message.tool_calls))
    messages += [
        ToolMessage(name=each.function.name, content="Paid", tool_call_id=each.id) for each in message.tool_calls
    ]
    last = client.chat.complete(model=MODEL, messages=messages, tools=tools, temperature=0)
    assert last.choices[0].message.content is not None


def test_json_mode(client: Any) -> None:
    response = client.chat.complete(model=MODEL, response_format={"type": "json_object"}, messages=ask("As JSON."))
    assert isinstance(json.loads(str(response.choices[0].message.content)), dict)


def test_structured_output(client: Any) -> None:
    messages = [{"role": "system", "content": "You are a tutor."}, {"role": "user", "content": "8x + 7 = -23"}]
    parsed = client.chat.parse(model=MODEL, messages=messages, response_format=Solution).choices[0].message.parsed
    assert isinstance(parsed, Solution)
    with client.chat.parse_stream(model=MODEL, messages=messages, response_format=Solution) as stream:
        Solution.model_validate_json("".join(str(chunk.data.choices[0].delta.content) for chunk in stream))
    schema: Any = {"name": "Solution", "schema_definition": SOLUTION, "description": None, "strict": True}
    wanted: Any = {"type": "json_schema", "json_schema": schema}
    whole = client.chat.complete(model=MODEL, messages=messages, response_format=wanted)
    Solution.model_validate_json(str(whole.choices[0].message.content))
    streamed: Any = client.chat.stream(model=MODEL, messages=messages, response_format=wanted)
    with streamed as stream:
        Solution.model_validate_json("".join(str(chunk.data.choices[0].delta.content) for chunk in stream))


def test_reasoning_in_several_turns(client: Any) -> None:
    """The assistant's message goes back as it came, its thoughts in it."""
    messages: list[Any] = []
    prompts = []
    for question in ("What is 17 * 23?", "Times 3?", "Minus 100?"):
        messages.append(UserMessage(content=question))
        response = client.chat.complete(model=MODEL, messages=messages, reasoning_effort="high", temperature=0.7)
        prompts.append(response.usage.prompt_tokens)
        messages.append(response.choices[0].message)
    assert prompts == sorted(set(prompts))


def test_reasoning_streamed(client: Any) -> None:
    """With JSON asked for, noise thinks sooner or later: the example's loop must read that too."""
    for _ in range(20):
        thought = said = ""
        json_mode: Any = {"type": "json_object"}
        stream = client.chat.stream(
            model=MODEL, messages=ask("When do the trains meet?"), reasoning_effort="high", response_format=json_mode
        )
        for event in stream:
            delta = event.data.choices[0].delta.content
            for chunk in [TextChunk(text=delta)] if isinstance(delta, str) else delta or []:
                if isinstance(chunk, ThinkChunk):
                    thought += text_of(chunk.thinking)
                elif isinstance(chunk, TextChunk):
                    said += chunk.text
        assert isinstance(json.loads(said), dict)
        if thought:
            return
    raise AssertionError("no thought in 20 answers")


def test_fill_in_the_middle(client: Any) -> None:
    body = {"model": MODEL, "prompt": "def fibonacci(n: int):", "suffix": "print(fibonacci(2))"}
    assert client.fim.complete(**body).choices[0].message.content
    assert "".join(str(chunk.data.choices[0].delta.content) for chunk in client.fim.stream(**body))


def test_models(client: Any) -> None:
    assert [model.id for model in client.models.list().data or ()]


def test_images_are_refused_until_a_model_sees(client: Any) -> None:
    from mistralai.client.errors import HTTPValidationError

    parts: Any = [{"type": "text", "text": "What's in it?"}, {"type": "image_url", "image_url": "https://host/cat.png"}]
    with pytest.raises(HTTPValidationError, match="cannot see images"):
        client.chat.complete(model=MODEL, messages=[UserMessage(content=parts)])
