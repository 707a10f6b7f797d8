"""Prompts through chat templates: exact text, BOS, prefixes, tools, thinking."""

from typing import Any

import pytest

from ggufrun.chat.encoded import EncodedPrompt
from ggufrun.chat.templated import CHATML, TemplateEncoder
from ggufrun.chat.types import ChatOptions, ChatRequest, Message, Tool
from ggufrun.errors import EmptyPrompt, RequestError
from tests.chat.samples import CALL, RESULT, WEATHER
from tests.fakes import FakeVocabulary

HERMES = (
    "{% if tools %}<|im_start|>system\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}{{ m.content }}"
    "{% for call in m.tool_calls or [] %}\n<tool_call>\n{{ call.function | tojson }}\n</tool_call>{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is not defined or enable_thinking %}<think>\n{% endif %}{% endif %}"
)
STRICT = (
    "{{ bos_token }}{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "[{{ m.role }}]{{ m.content | trim }}{% endfor %}[model]"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{% if tools and loop.last %}{{ tools | tojson }}"
    "{% endif %}[INST]{{ m.content }}[/INST]{% elif m.tool_calls %}"
    "[TOOL_CALLS]{{ m.tool_calls | tojson }}{{ eos_token }}{% else %}{{ m.role }}{{ m.tool_call_id }}{{ m.content }}"
    "{% endif %}{% endfor %}"
)
UNFINISHED = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}], "closed": False}
VOCABULARY = FakeVocabulary(specials=("<s>", "</s>", "<|im_start|>", "<|im_end|>"))
CHATML_ONLY = FakeVocabulary(specials=("<|im_start|>", "<|im_end|>"))


def request(*messages: dict[str, Any], **more: Any) -> ChatRequest:
    return ChatRequest(
        messages=tuple(map(Message.model_validate, messages)),
        tools=tuple(map(Tool.model_validate, more.get("tools", ()))),
        tool_choice=more.get("tool_choice", "auto"),
        options=ChatOptions(reasoning_effort=more.get("reasoning_effort")),
    )


def encode(
    source: str, *messages: dict[str, Any], vocabulary: FakeVocabulary = CHATML_ONLY, **more: Any
) -> EncodedPrompt:
    return TemplateEncoder(vocabulary, source).encode(request(*messages, **more))


def text(prompt: EncodedPrompt, vocabulary: FakeVocabulary = CHATML_ONLY) -> str:
    return b"".join(map(vocabulary.piece, prompt.tokens)).decode()


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def said(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def test_chatml() -> None:
    chunks = [{"type": "text", "text": "Hi"}, {"type": "text", "text": "there"}]
    prompt = encode(CHATML, {"role": "developer", "content": "Be brief."}, user(chunks), said("Yo"), user("?"))
    expected = (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi\nthere<|im_end|>\n"
        "<|im_start|>assistant\nYo<|im_end|>\n<|im_start|>user\n?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert text(prompt) == expected
    assert list(prompt.tokens) == CHATML_ONLY.tokenize(expected, special=True)
    assert (prompt.dialect, prompt.version, prompt.style.tool_calls) == ("template", "", "none")


@pytest.mark.parametrize("source", [CHATML, "{{ bos_token }}" + CHATML, "{{ bos_token }}{{ bos_token }}" + CHATML])
def test_exactly_one_bos(source: str) -> None:
    prompt = encode(source, user("Hi"), vocabulary=VOCABULARY)
    assert text(prompt, VOCABULARY).startswith("<s><|im_start|>")
    assert prompt.tokens.count(256) == 1


def test_no_bos_where_the_model_wants_none() -> None:
    assert text(encode("{{ bos_token }}" + CHATML, user("Hi"))).startswith("<|im_start|>")


@pytest.mark.parametrize("prefix", [True, False])
def test_a_trailing_assistant_is_continued(prefix: bool) -> None:
    prompt = encode(CHATML, user("Hi"), said("Dear <|im_end|> ", prefix=prefix))
    assert text(prompt).endswith("<|im_start|>assistant\nDear <|im_end|> ")
    assert prompt.tokens.count(CHATML_ONLY.special["<|im_end|>"]) == 1
    assert (prompt.prefix_text, prompt.prefix_spaces) == ("Dear <|im_end|> ", 0)


def test_tools_by_the_template() -> None:
    turns = (user("Weather?"), said(None, tool_calls=[CALL]), RESULT)
    encoder = TemplateEncoder(CHATML_ONLY, HERMES)
    assert encoder.supports_tools
    prompt = encoder.encode(request(*turns, tools=[WEATHER]))
    assert '"name": "get_weather", "description": "Today\'s weather — wind & rain."' in text(prompt)
    assert '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Zürich"}}\n</tool_call>' in text(prompt)
    assert "<|im_start|>tool\n" in text(prompt)
    assert prompt.style.tool_calls == "hermes"
    assert encoder.encode(request(*turns)).style.tool_calls == "none"


@pytest.mark.parametrize(
    "source", [CHATML, HERMES.replace("<tool_call>", "<call>"), HERMES.replace("call.function |", "call |")]
)
def test_tools_for_a_template_that_writes_none_we_can_read(source: str) -> None:
    turns = (user("Weather?"), said("Let me look.", tool_calls=[CALL, CALL]), RESULT, {**RESULT, "content": "20"})
    encoder = TemplateEncoder(CHATML_ONLY, source)
    assert not encoder.supports_tools
    prompt = encoder.encode(request({"role": "system", "content": "Be brief."}, *turns, tools=[WEATHER]))
    assert text(prompt).startswith("<|im_start|>system\nYou may call the functions below")
    assert "answer.\n\nBe brief.<|im_end|>" in text(prompt)
    call = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Zürich"}}\n</tool_call>'
    assert f"<|im_start|>assistant\nLet me look.\n{call}\n{call}<|im_end|>" in text(prompt)
    assert "</tool_response>\n\n<tool_response>\n20\n</tool_response><|im_end|>" in text(prompt)
    assert prompt.style.tool_calls == "hermes"


def test_tool_choice_none_hides_the_tools() -> None:
    for source in (CHATML, HERMES):
        prompt = encode(source, user("Weather?"), tools=[WEATHER], tool_choice="none")
        assert prompt == encode(source, user("Weather?"))


def test_mistral_templates_get_nine_character_ids() -> None:
    vocabulary = FakeVocabulary(specials=("<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]"))
    call, result = {**CALL, "id": "call_abcdefghijkl"}, {**RESULT, "tool_call_id": "call_abcdefghijkl"}
    prompt = encode(MISTRAL, user("?"), said("", tool_calls=[call]), result, vocabulary=vocabulary, tools=[WEATHER])
    written = text(prompt, vocabulary)
    image = written.split('"id": "')[1][:9]
    assert image.isalnum()
    assert f"tool{image}" in written
    assert (prompt.style.tool_calls, dict(prompt.style.special)) == ("mistral", {"[TOOL_CALLS]": 260})


def test_without_a_system_role_its_text_opens_the_first_turn() -> None:
    prompt = encode(STRICT, {"role": "system", "content": "Be brief."}, user("Hi"), said("Yo"), user("?"))
    assert text(prompt) == "[user]Be brief.\n\nHi[assistant]Yo[user]?[model]"
    with_tools = encode(STRICT, user("Hi"), said("", tool_calls=[CALL]), RESULT, tools=[WEATHER])
    assert text(with_tools).startswith("[user]You may call")


def test_a_template_refuses() -> None:
    with pytest.raises(RequestError, match="roles must alternate"):
        encode(STRICT, user("a"), user("b"))


def test_thinking() -> None:
    prompt = encode(HERMES, user("1+1?"), said("2", reasoning_content="One and one."), user("+1?"))
    assert "<think>\nOne and one.\n</think>\n\n2<|im_end|>" in text(prompt)
    assert (prompt.style.thinking, prompt.style.starts_in_thinking) == ("markers", True)
    off = encode(HERMES, user("1+1?"), reasoning_effort="none")
    assert (off.style.thinking, off.style.starts_in_thinking) == ("markers", False)
    assert not encode(HERMES, user("Hi <think>"), reasoning_effort="none").style.starts_in_thinking


@pytest.mark.parametrize(
    ("effort", "answer", "ending", "thinking"),
    [
        ("high", said("Dear"), "<think>\n\n</think>\n\nDear", False),
        ("none", said("Dear"), "assistant\nDear", False),
        ("high", said("Dear", reasoning_content="Hm"), "<think>\nHm\n</think>\n\nDear", False),
        ("none", said("Dear", reasoning_content="Hm"), "<think>\nHm\n</think>\n\nDear", False),
        ("high", said([UNFINISHED]), "<think>\nHm", True),
    ],
)  # fmt: skip
def test_prefix_and_thinking(effort: str, answer: dict[str, Any], ending: str, thinking: bool) -> None:
    prompt = encode(HERMES, user("Hi"), answer, reasoning_effort=effort)
    assert text(prompt).endswith(ending)
    assert prompt.style.starts_in_thinking == thinking


@pytest.mark.parametrize("messages", [[], [user("")], [{"role": "system", "content": "x"}, user("  ")]])
def test_nothing_to_answer(messages: list[dict[str, Any]]) -> None:
    with pytest.raises(EmptyPrompt):
        encode(CHATML, *messages)


def test_malformed_history_is_not_fatal() -> None:
    broken = {"id": "null", "function": {"name": "get weather", "arguments": '{"city": '}}
    for source in (CHATML, HERMES):
        assert "get_weather" in text(encode(source, user("?"), said("", tool_calls=[broken]), RESULT, tools=[WEATHER]))


def test_a_schema_nested_without_end_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(5000):
        schema = {"properties": {"a": schema}}
    tool = {"type": "function", "function": {"name": "deep", "parameters": schema}}
    with pytest.raises(RequestError) as caught:
        encode(HERMES, user("Hi"), tools=[tool])
    assert caught.value.param == "tools"


@pytest.mark.parametrize("source", [CHATML, HERMES])
def test_one_bad_schema_among_many_tools_is_named(source: str) -> None:
    bad = {"type": "function", "function": {"name": "bad", "parameters": {"type": "no type"}}}
    for _ in range(2):
        with pytest.raises(RequestError, match="'bad'") as caught:
            encode(source, user("Hi"), tools=[WEATHER, bad, WEATHER])
        assert caught.value.param == "tools.1.function.parameters"
    assert encode(source, user("Hi"), tools=[bad], tool_choice="none").tokens
