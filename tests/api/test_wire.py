"""The request's body: what was not written stays open, and a zero is written."""

from typing import Any

from ggufrun.api.conversation.wire import ChatCompletionBody
from ggufrun.chat.types import ChatOptions


def options(**fields: Any) -> ChatOptions:
    body = {"messages": [{"role": "user", "content": "hi"}], **fields}
    return ChatCompletionBody.model_validate(body).to_request().options


def test_what_is_not_written_is_left_to_the_model() -> None:
    nothing = dict.fromkeys(("presence_penalty", "frequency_penalty", "repetition_penalty", "min_tokens", "stop"))
    assert options() == options(**nothing) == ChatOptions()


def test_zeros_and_empty_lists_are_written() -> None:
    written: dict[str, Any] = {
        "temperature": 0, "top_k": 0, "min_p": 0, "presence_penalty": 0, "frequency_penalty": 0,
        "repetition_penalty": 1, "seed": 0, "min_tokens": 0,
    }  # fmt: skip
    assert options(**written, stop=[]) == ChatOptions(**written, stop=())
