"""What is sent to each kind of engine, and what is refused before anything is"""

from dataclasses import replace
from typing import Any

import pytest

from ggufrun.chat.types import (
    Capabilities,
    ChatOptions,
    ChatRequest,
    Constraint,
    Function,
    FunctionCall,
    ImageChunk,
    Message,
    ModelInfo,
    NamedFunction,
    NamedTool,
    TextChunk,
    TextRequest,
    ThinkingChunk,
    Tool,
    ToolCall,
)
from ggufrun.errors import EmptyPrompt, ModelLacks, OutOfRange, RequestError
from ggufrun.remote.asking import asked
from ggufrun.remote.engines import GGUFRUN, LLAMA_SERVER, MISTRAL, OPENAI, VLLM, Engine
from ggufrun.remote_errors import RemoteLacks

ENGINES = (OPENAI, VLLM, LLAMA_SERVER, GGUFRUN, MISTRAL)
INFO = ModelInfo("fast", 100, 100, 0, 0, "", capabilities=Capabilities(vision=True, reasoning=True))
USER = Message(role="user", content="Hello")
ASK = ChatRequest((USER,))
PREFIX = ChatRequest((USER, Message(role="assistant", content="Dear", prefix=True)))
TOOLS = tuple(Tool(function=Function(name=name)) for name in ("weather", "clock"))
NAMED = NamedTool(function=NamedFunction(name="clock"))


def body(engine: Engine, request: ChatRequest = ASK, **options: Any) -> dict[str, Any]:
    return dict(asked(engine, INFO, "m", replace(request, options=ChatOptions(**options))).body)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_least(engine: Engine) -> None:
    sent = body(engine)
    more = {name: sent.pop(name) for name in ("stream_options", "return_progress") if name in sent}
    assert sent == {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    assert more.keys() <= {"stream_options", "return_progress"} and (not more or engine.dialect == "openai")


@pytest.mark.parametrize(
    ("engine", "names"),
    [
        (OPENAI, "seed reasoning_effort"),
        (VLLM, "seed reasoning_effort top_k min_p repetition_penalty min_tokens"),
        (LLAMA_SERVER, "seed chat_template_kwargs top_k min_p repeat_penalty"),
        (GGUFRUN, "random_seed reasoning_effort top_k min_p repetition_penalty min_tokens"),
        (MISTRAL, "random_seed reasoning_effort top_k repetition_penalty min_tokens"),
    ],
)
def test_options_by_the_engine_s_names(engine: Engine, names: str) -> None:
    values: dict[str, Any] = {"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.5, "min_tokens": 2}
    known = {name: value for name, value in values.items() if name in engine.options}
    same: dict[str, Any] = {"temperature": 0.5, "top_p": 0.9, "presence_penalty": 1.0, "frequency_penalty": 0.5}
    sent = body(engine, **same, **known, max_tokens=9, stop=("a", "b"), n=2, seed=3, reasoning_effort="high")
    assert {name: sent[name] for name in same} == same
    assert (sent["max_tokens"], sent["stop"], sent["n"]) == (9, ["a", "b"], 2)
    skipped = {"model", "messages", "stream", "stream_options", "return_progress", "max_tokens", "stop", "n", *same}
    assert sent.keys() - skipped == set(names.split())
    for name in values.keys() - known.keys():
        with pytest.raises(RemoteLacks) as caught:
            body(engine, **{name: values[name]})
        assert caught.value.param == name and engine.title in str(caught.value)


def test_more_tokens_than_the_context_has_are_as_many_as_there_is_room_for() -> None:
    assert "max_tokens" not in body(VLLM, max_tokens=INFO.context)
    assert body(VLLM, max_tokens=INFO.context - 1)["max_tokens"] == INFO.context - 1


def test_a_logit_bias() -> None:
    assert body(VLLM, logit_bias=((5, -1.5),))["logit_bias"] == {"5": -1.5}
    with pytest.raises(RemoteLacks, match="logit_bias"):
        body(MISTRAL, logit_bias=((5, -1.5),))


def test_what_the_hosted_api_takes_other_values_of() -> None:
    assert [body(MISTRAL, reasoning_effort=each)["reasoning_effort"] for each in ("minimal", "medium")] == [
        "none",
        "high",
    ]
    plain = replace(INFO, capabilities=Capabilities())
    sent = asked(
        MISTRAL, plain, "m", replace(ASK, options=ChatOptions(reasoning_effort="low"), prompt_mode="reasoning")
    )
    assert not sent.body.keys() & {"reasoning_effort", "prompt_mode"}
    with pytest.raises(OutOfRange, match=r"takes at most 1\.5"):
        body(MISTRAL, temperature=1.8)
    assert body(VLLM, temperature=1.8)["temperature"] == 1.8


@pytest.mark.parametrize("options", [{"temperature": 3.0}, {"n": 17}, {"max_tokens": 0}, {"stop": ("",)}])
def test_what_no_request_may_say_is_refused_as_it_is_here(options: dict[str, Any]) -> None:
    with pytest.raises(OutOfRange):
        body(VLLM, **options)


def test_empty_and_contradicting_requests() -> None:
    with pytest.raises(EmptyPrompt):
        body(VLLM, ChatRequest(()))
    with pytest.raises(OutOfRange, match="there are no tools"):
        body(VLLM, replace(ASK, tool_choice="any"))
    constrained = replace(ASK, constraint=Constraint("json_object"))
    with pytest.raises(RequestError, match="forces a call"):
        body(VLLM, replace(constrained, tools=TOOLS, tool_choice="any"))
    with pytest.raises(RequestError, match="beginning that is given"):
        body(VLLM, replace(constrained, messages=PREFIX.messages))


@pytest.mark.parametrize(
    ("engine", "any_", "named"),
    [
        (OPENAI, "required", {"type": "function", "function": {"name": "clock"}}),
        (VLLM, "required", {"type": "function", "function": {"name": "clock"}}),
        (LLAMA_SERVER, "required", "required"),
        (GGUFRUN, "any", {"type": "function", "function": {"name": "clock"}}),
        (MISTRAL, "any", {"type": "function", "function": {"name": "clock"}}),
    ],
)
def test_tool_choice(engine: Engine, any_: str, named: object) -> None:
    asking = replace(ASK, tools=TOOLS)
    assert body(engine, asking)["tool_choice"] == "auto"
    assert body(engine, replace(asking, tool_choice="any"))["tool_choice"] == any_
    assert body(engine, replace(asking, tool_choice="required"))["tool_choice"] == any_
    assert "tools" not in body(engine, replace(asking, tool_choice="none"))
    sent = body(engine, replace(asking, tool_choice=NAMED))
    assert sent["tool_choice"] == named
    names = [tool["function"]["name"] for tool in sent["tools"]]
    assert names == (["clock"] if engine is LLAMA_SERVER else ["weather", "clock"])
    strict = {tool["function"].get("strict", False) for tool in sent["tools"]}
    assert strict == {engine is VLLM}
    forced = [asked(engine, INFO, "m", replace(asking, tool_choice=each)).forced for each in ("auto", "any", NAMED)]
    assert forced == [False, True, True]
    single = asked(engine, INFO, "m", replace(asking, parallel_tool_calls=False))
    assert single.single_call and single.body["parallel_tool_calls"] is False


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


@pytest.mark.parametrize("engine", ENGINES)
def test_json(engine: Engine) -> None:
    assert body(engine, replace(ASK, constraint=Constraint("json_object")))["response_format"] == {
        "type": "json_object"
    }
    sent = body(engine, replace(ASK, constraint=Constraint("json_schema", schema=SCHEMA)))["response_format"]
    assert sent == {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}}


@pytest.mark.parametrize(
    ("engine", "kind", "sent"),
    [
        (VLLM, "regex", {"structured_outputs": {"regex": "x"}}),
        (VLLM, "gbnf", {"structured_outputs": {"grammar": "x"}}),
        (replace(VLLM, version="0.10.2"), "regex", {"guided_regex": "x"}),
        (replace(VLLM, version="0.11.0"), "lark", {"structured_outputs": {"grammar": "x"}}),
        (LLAMA_SERVER, "gbnf", {"grammar": "x"}),
        (GGUFRUN, "lark", {"response_format": {"type": "lark", "source": "x"}}),
        (LLAMA_SERVER, "regex", None),
        (LLAMA_SERVER, "lark", None),
        (OPENAI, "regex", None),
        (MISTRAL, "gbnf", None),
    ],
)
def test_patterns(engine: Engine, kind: Any, sent: dict[str, Any] | None) -> None:
    request = replace(ASK, constraint=Constraint(kind, source="x"))
    if sent is None:
        with pytest.raises(RemoteLacks) as caught:
            body(engine, request)
        assert caught.value.param == "response_format"
    else:
        assert body(engine, request).items() >= sent.items()


def test_a_grammar_beside_tools_is_what_llama_server_refuses() -> None:
    request = replace(ASK, constraint=Constraint("gbnf", source="x"), tools=TOOLS)
    with pytest.raises(RemoteLacks, match="beside tools"):
        body(LLAMA_SERVER, request)


@pytest.mark.parametrize(
    ("engine", "told", "echoed"),
    [
        (VLLM, {"continue_final_message": True, "add_generation_prompt": False}, False),
        (LLAMA_SERVER, {"chat_template_kwargs": {"enable_thinking": False}}, False),
        (GGUFRUN, {}, True),
        (MISTRAL, {}, True),
    ],
)
def test_a_beginning_that_is_given(engine: Engine, told: dict[str, Any], echoed: bool) -> None:
    sent = asked(engine, INFO, "m", PREFIX)
    assert (sent.prefix, sent.echoed) == ("Dear", echoed) and sent.body.items() >= told.items()
    assert sent.body["messages"][-1].get("prefix", False) == echoed
    with pytest.raises(RemoteLacks, match="how an answer begins"):
        asked(OPENAI, INFO, "m", PREFIX)


def test_logprobs() -> None:
    assert body(VLLM, logprobs=0)["logprobs"] is True
    assert body(VLLM, logprobs=3)["top_logprobs"] == 3
    assert body(LLAMA_SERVER, logprobs=0)["top_logprobs"] == 1  # with 0 it gives none at all


PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


@pytest.mark.parametrize("engine", ENGINES)
def test_messages_of_all_roles(engine: Engine) -> None:
    call = ToolCall(id="call_1234567890abcdef", function=FunctionCall(name="clock", arguments={"zone": "UTC"}))
    thought = ThinkingChunk(type="thinking", thinking=(TextChunk(text="Hm."),))
    messages = (
        Message(role="developer", content="Be brief."),
        Message(role="user", content=(TextChunk(text="What is it?"), ImageChunk(data=PNG))),
        Message(role="assistant", content=(thought, TextChunk(text="Let me look.")), tool_calls=(call,)),
        Message(role="tool", content="noon", tool_call_id=call.id, name="clock"),
    )
    system, user, assistant, tool = body(engine, ChatRequest(messages))["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    url = "data:image/png;base64,iVBORw0KGgoAAAAAAAAAAA=="
    assert user["content"] == [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    (sent,) = assistant["tool_calls"]
    assert len(sent["id"]) == 9 and tool["tool_call_id"] == sent["id"]
    assert sent["function"] == {"name": "clock", "arguments": '{"zone": "UTC"}'}
    if engine.dialect == "mistral":
        assert [part["type"] for part in assistant["content"]] == ["thinking", "text"]
        assert tool["name"] == "clock"
    else:
        assert assistant["content"] == "Let me look."
        assert assistant.get("reasoning_content") == (None if engine is OPENAI else "Hm.")


def test_an_image_for_a_model_that_sees_none() -> None:
    blind = replace(INFO, capabilities=Capabilities(), elsewhere=True)
    request = ChatRequest((Message(role="user", content=(ImageChunk(data=PNG),)),))
    with pytest.raises(ModelLacks, match="cannot see images"):
        asked(VLLM, blind, "m", request)


def test_the_guardrail_is_a_field_for_some_and_a_message_for_others() -> None:
    safe = replace(ASK, safe_prompt=True)
    assert body(MISTRAL, safe)["safe_prompt"] is True and len(body(MISTRAL, safe)["messages"]) == 1
    first = body(VLLM, safe)["messages"][0]
    assert first["role"] == "system" and first["content"].startswith("Always assist with care")


def test_raw_text() -> None:
    options = ChatOptions(max_tokens=4, logprobs=2, seed=1)
    for engine in (OPENAI, VLLM, LLAMA_SERVER, GGUFRUN):
        sent = asked(engine, INFO, "m", TextRequest((5, 6), options=options))
        assert sent.path == "/completions"
        assert sent.body.items() >= {"prompt": [5, 6], "max_tokens": 4, "logprobs": 2, "seed": 1}.items()
    for engine in (GGUFRUN, MISTRAL):
        sent = asked(engine, INFO, "m", TextRequest("a", "b", ChatOptions(seed=1)))
        assert sent.path == "/fim/completions"
        assert sent.body.items() >= {"prompt": "a", "suffix": "b", "random_seed": 1}.items()
    assert asked(VLLM, INFO, "m", TextRequest("a", echo=True)).prefix == "a"


@pytest.mark.parametrize(
    ("engine", "request_", "param"),
    [
        (VLLM, TextRequest("a", "b"), "suffix"),
        (MISTRAL, TextRequest((1, 2)), "prompt"),
        (MISTRAL, TextRequest("a", options=ChatOptions(logprobs=1)), "logprobs"),
        (VLLM, TextRequest((1, 2), echo=True), "echo"),
        (GGUFRUN, TextRequest("a", "b", ChatOptions(n=2)), "n"),
        (VLLM, TextRequest(""), "prompt"),
    ],
)
def test_raw_text_that_cannot_be_asked_for(engine: Engine, request_: TextRequest, param: str) -> None:
    with pytest.raises(RequestError) as caught:
        asked(engine, INFO, "m", request_)
    assert caught.value.param == param


def test_another_attempt_has_other_seeds_and_some_chance() -> None:
    first = asked(MISTRAL, INFO, "m", replace(ASK, options=ChatOptions(temperature=0, seed=10, n=3)))
    again = first.again(2, 1)
    assert again.body["temperature"] > 0 and again.body["random_seed"] == 16
    assert again.choices == 1 and "n" not in again.body
    assert first.again(0, 3) is first
