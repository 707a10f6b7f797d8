"""The order of messages that Mistral's API allows, for both encoders, and what other clients may do."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from mistral_common.exceptions import MistralCommonException
from mistral_common.protocol.instruct.messages import AssistantMessage, SystemMessage, ToolMessage, UserMessage
from mistral_common.protocol.instruct.validator import ValidationMode, get_validator
from mistral_common.tokens.tokenizers.base import TokenizerVersion

from ggufrun.chat.compile import Compiler
from ggufrun.chat.encoded import PromptEncoder
from ggufrun.chat.mistral import MistralEncoder
from ggufrun.chat.order import check_order
from ggufrun.chat.templated import CHATML, TemplateEncoder
from ggufrun.chat.types import ChatRequest, Message
from ggufrun.errors import BadToolCall, EmptyPrompt, MessageOrder, RequestError
from tests.chat.samples import CALL, RESULT
from tests.chat.vocab import rebuilt
from tests.fakes import FakeVocabulary

USER: dict[str, Any] = {"role": "user", "content": "a"}
SYSTEM = {"role": "system", "content": "s"}
SAID: dict[str, Any] = {"role": "assistant", "content": "b"}
BEGUN = {**SAID, "prefix": True}
CALLED = {"role": "assistant", "content": "", "tool_calls": [CALL]}
WRITTEN: dict[str, Any] = {
    "system": SystemMessage,
    "user": UserMessage,
    "assistant": AssistantMessage,
    "tool": ToolMessage,
}
REFUSED = [
    ([BEGUN], "Conversation must start with a user message or system message"),
    ([RESULT], "Conversation must start with a user message or system message"),
    ([USER, SAID], "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant"),
    ([USER, CALLED], "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant"),
    ([USER, BEGUN, USER], "Assistant message with prefix True must be last message"),
    ([USER, RESULT], "Unexpected role 'tool' after role 'user'"),
    ([SYSTEM, RESULT, USER], "Unexpected role 'tool' after role 'system'"),
    ([USER, CALLED, USER], "Not the same number of function calls and responses"),
    ([USER, CALLED, RESULT, RESULT], "Not the same number of function calls and responses"),
    ([USER, SAID, RESULT], "Not the same number of function calls and responses"),
    ([USER, CALLED, SAID, USER], "Not the same number of function calls and responses"),
    ([USER, SAID, SYSTEM, USER], "Unexpected role 'system' after role 'assistant'"),
    ([USER, CALLED, RESULT, SYSTEM], "Unexpected role 'system' after role 'tool'"),
    ([CALLED, RESULT, USER], "Not the same number of function calls and responses"),
]
ALLOWED = [
    [USER],
    [SYSTEM, USER],
    [{"role": "developer", "content": "s"}, USER],
    [USER, BEGUN],
    [USER, CALLED, RESULT],
    [USER, CALLED, RESULT, SAID, USER],
    [USER, CALLED, RESULT, USER],
    [USER, USER],
    [SAID, USER],
    [SYSTEM, SAID, USER],
    [RESULT, USER],
    [SYSTEM, USER, SAID, CALLED, RESULT],
]


def parsed(messages: list[dict[str, Any]]) -> tuple[Message, ...]:
    return tuple(map(Message.model_validate, messages))


def compilers() -> list[Compiler]:
    chatml = FakeVocabulary(specials=("<|im_start|>", "<|im_end|>"))
    pairs: list[tuple[FakeVocabulary, PromptEncoder]] = [
        *((FakeVocabulary(), MistralEncoder(rebuilt(version))) for version in ("v3", "v7", "v13", "v15")),
        (chatml, TemplateEncoder(chatml, CHATML)),
    ]
    return [Compiler(vocabulary, encoder, lambda request, prompt: None, 4096) for vocabulary, encoder in pairs]


@pytest.mark.parametrize(("messages", "reason"), REFUSED)
def test_what_the_hosted_api_refuses(messages: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(MessageOrder) as caught:
        check_order(parsed(messages))
    assert caught.value.message.startswith(reason)
    assert caught.value.param == "messages"


@pytest.mark.parametrize("messages", ALLOWED)
def test_what_it_allows(messages: list[dict[str, Any]]) -> None:
    for compiler in compilers():
        assert compiler.compile(ChatRequest(parsed(messages), strict_order=True)).prompt


def test_it_is_mistral_commons_own_order() -> None:
    kinds = [SYSTEM, USER, SAID, BEGUN, CALLED, RESULT]
    validator = get_validator(TokenizerVersion.v7, ValidationMode.serving)
    refused = 0
    for length in range(1, 5):
        for messages in itertools.product(kinds, repeat=length):
            theirs = _refuses(validator.validate_messages, [WRITTEN[each["role"]](**each) for each in messages])
            assert _refuses(check_order, parsed(list(messages))) == theirs, messages
            refused += theirs
    assert 0 < refused < 6 + 6**2 + 6**3 + 6**4


def _refuses(check: Callable[[Any], None], messages: Sequence[Any]) -> bool:
    try:
        check(messages)
    except (MessageOrder, MistralCommonException):
        return True
    return False


def test_text_before_a_call_is_left_out_where_a_version_cannot_write_it() -> None:
    encoder = MistralEncoder(rebuilt("v3"))
    apart = encoder.encode(ChatRequest(parsed([USER, SAID, CALLED, RESULT])))
    assert apart.tokens == encoder.encode(ChatRequest(parsed([USER, {**CALLED, "content": "b"}, RESULT]))).tokens
    assert apart.tokens == encoder.encode(ChatRequest(parsed([USER, CALLED, RESULT]))).tokens


def test_both_encoders_are_strict_for_mistrals_clients_only() -> None:
    for compiler in compilers():
        trailing = parsed([USER, SAID])
        with pytest.raises(MessageOrder):
            compiler.compile(ChatRequest(trailing, strict_order=True))
        with pytest.raises(MessageOrder):
            compiler.tokens(ChatRequest(trailing, strict_order=True))
        assert compiler.compile(ChatRequest(trailing)).prefix == "b"
        with pytest.raises(EmptyPrompt):
            compiler.compile(ChatRequest((), strict_order=True))


@pytest.mark.parametrize(
    ("messages", "kind"),
    [
        ([USER, RESULT], MessageOrder),
        ([USER, SAID, SYSTEM], MessageOrder),
        ([USER, BEGUN, USER], MessageOrder),
        ([USER, CALLED, USER], MessageOrder),
        ([USER, CALLED, {**RESULT, "tool_call_id": "000000000"}, {**RESULT, "tool_call_id": "x"}], MessageOrder),
    ],
)
def test_mistral_commons_own_errors_of_order_say_so(messages: list[dict[str, Any]], kind: type[RequestError]) -> None:
    with pytest.raises(kind):
        MistralEncoder(rebuilt("v13")).encode(ChatRequest(parsed(messages)))


def test_mistral_commons_errors_of_calls_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are made valid before mistral-common sees them, so one is let through here."""
    monkeypatch.setattr("ggufrun.chat.mistral_messages.tool_name", lambda written: written)
    wrong = {**CALL, "function": {"name": "get weather", "arguments": "{}"}}
    with pytest.raises(BadToolCall):
        MistralEncoder(rebuilt("v13")).encode(ChatRequest(parsed([USER, {**CALLED, "tool_calls": [wrong]}, RESULT])))
