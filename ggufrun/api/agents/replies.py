"""The replies' shapes of Anthropic's API and OpenAI's Responses, for the OpenAPI document only."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class _Reply(BaseModel):
    model_config = ConfigDict(extra="allow")


class AnthropicErrorFields(_Reply):
    type: str
    message: str


class AnthropicErrorReply(_Reply):
    type: Literal["error"]
    error: AnthropicErrorFields
    request_id: str


class AnthropicUsage(_Reply):
    """The prompt's tokens are those of the input and those that were read from the cache."""

    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int
    cost_usd: float | None = None


class AnthropicReply(_Reply):
    """`content` has blocks of type text, thinking and tool_use."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[dict[str, Any]]
    stop_reason: Literal["end_turn", "max_tokens", "model_context_window_exceeded", "stop_sequence", "tool_use"]
    stop_sequence: str | None = None
    usage: AnthropicUsage
    timings: dict[str, Any]


class InputTokens(_Reply):
    input_tokens: int


class ResponseInputTokens(InputTokens):
    object: Literal["response.input_tokens"]


class ResponseUsage(_Reply):
    input_tokens: int
    input_tokens_details: dict[str, int]
    output_tokens: int
    output_tokens_details: dict[str, int]
    total_tokens: int
    cost_usd: float | None = None


class ResponseReply(_Reply):
    """`output` has items of type message, reasoning and function_call."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["completed", "incomplete"]
    model: str
    output: list[dict[str, Any]]
    error: dict[str, str] | None = None
    incomplete_details: dict[str, str] | None = None
    usage: ResponseUsage
    timings: dict[str, Any]
