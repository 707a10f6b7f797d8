"""The replies' shapes, for the OpenAPI document only: `chat_body.py` and the others write them.

What may be null has a default, though it is always sent: FastAPI leaves null out of the document's examples.
"""

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Reply(BaseModel):
    model_config = ConfigDict(extra="allow")


class ErrorFields(_Reply):
    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorDetail(_Reply):
    loc: list[str | int]
    msg: str
    type: str


class ErrorReply(ErrorFields):
    """Flat as Mistral's clients read it, nested in `error` as OpenAI's do; `detail` with status 422 only."""

    object: Literal["error"]
    error: ErrorFields
    detail: list[ErrorDetail] | None = None


class PromptDetails(_Reply):
    cached_tokens: int


class Usage(_Reply):
    """`cost_usd` is what the hosted model would have cost, where the model's card has its price."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails | None = None
    cost_usd: float | None = None


class CalledFunction(_Reply):
    name: str
    arguments: str = Field(description="JSON")


class Call(_Reply):
    index: int
    id: str
    type: Literal["function"]
    function: CalledFunction


class AnswerMessage(_Reply):
    """`content` is a list for Mistral's clients where the model has thought."""

    role: Literal["assistant"]
    content: str | list[dict[str, Any]]
    tool_calls: list[Call] | None = None
    prefix: bool
    reasoning_content: str | None = None


class Choice(_Reply):
    index: int
    message: AnswerMessage
    finish_reason: Literal["stop", "length", "model_length", "tool_calls", "error"]
    logprobs: dict[str, Any] | None = None


class ChatCompletion(_Reply):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    timings: dict[str, Any]


class ModelCard(_Reply):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    type: Literal["base"]
    name: str
    description: str
    max_context_length: int
    aliases: list[str]
    default_model_temperature: float
    default_sampling: dict[str, Any]  # what holds where a request does not say; ours
    capabilities: dict[str, bool]


class ModelList(_Reply):
    object: Literal["list"]
    data: list[ModelCard]


def answer_example(model: str, text: str) -> dict[str, Any]:
    """A whole answer, as the document shows it."""
    message = {"role": "assistant", "content": text, "tool_calls": None, "prefix": False}
    return {
        "id": "3f1e0d1c9a8b4c5d8e7f6a5b4c3d2e1f",
        "object": "chat.completion",
        "created": 1777550400,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
        "timings": {"ttft_ms": 41.2, "tokens_per_second": 38.5},
    }


def stream_example(model: str, text: str) -> str:
    """The first chunk and the last line of a stream, as the document shows them."""
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
    chunk = {"id": "3f1e…", "object": "chat.completion.chunk", "created": 1777550400, "model": model}
    return f"data: {json.dumps(chunk | {'choices': [choice]}, ensure_ascii=False)}\n\ndata: [DONE]\n\n"
