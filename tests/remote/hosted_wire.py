"""What the hosted API takes: its closed schema, and the rules about the order of messages

An unknown field is a 422 there, at any depth; ours are open. So this is what shows a field too many in what we send.
"""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

NAME: Final = "mistral-medium-3.5"
CONTEXT: Final = 4096  # tokens, of which `tokens_of` counts one for four characters
CALL_ID: Final = re.compile(r"[a-zA-Z0-9]{9}")


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Text(Closed):
    type: Literal["text"] = "text"
    text: str


class ImageURL(Closed):
    url: str
    detail: Literal["low", "auto", "high"] | None = None


class Image(Closed):
    type: Literal["image_url"]
    image_url: ImageURL | str


class Thinking(Closed):
    type: Literal["thinking"]
    thinking: list[Text]
    closed: bool = True
    signature: str | None = None


Chunk = Annotated[Text | Image | Thinking, Field(discriminator="type")]


class SentCall(Closed):
    name: str
    arguments: str | dict[str, Any]


class Call(Closed):
    id: str = "null"
    type: Literal["function"] = "function"
    index: int = 0
    function: SentCall


class System(Closed):
    role: Literal["system"]
    content: str | list[Chunk]


class User(Closed):
    role: Literal["user"]
    content: str | list[Chunk] | None


class Assistant(Closed):
    role: Literal["assistant"]
    content: str | list[Chunk] | None = None
    tool_calls: list[Call] | None = None
    prefix: bool = False


class ToolResult(Closed):
    role: Literal["tool"]
    content: str | list[Chunk] | None
    tool_call_id: str | None = None
    name: str | None = None


Message = Annotated[System | User | Assistant | ToolResult, Field(discriminator="role")]


class Function(Closed):
    name: str
    parameters: dict[str, Any]
    description: str = ""
    strict: bool = False


class Tool(Closed):
    type: Literal["function"] = "function"
    function: Function


class NamedFunction(Closed):
    name: str


class NamedTool(Closed):
    type: Literal["function"] = "function"
    function: NamedFunction


class Schema(Closed):
    name: str
    schema_: dict[str, Any] = Field(alias="schema")
    description: str | None = None
    strict: bool = False


class Format(Closed):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: Schema | None = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> "Format":
        if self.type == "json_schema" and self.json_schema is None:
            raise ValueError("json_schema is missing")
        return self


class Prediction(Closed):
    type: Literal["content"] = "content"
    content: str = ""


class Request(Closed):
    """The body of POST /v1/chat/completions, as `mistralai` 3.7.0 can send it."""

    model: str
    messages: list[Message]
    temperature: float | None = Field(None, ge=0, le=1.5)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = None
    max_tokens: int | None = Field(None, ge=0)
    min_tokens: int | None = None
    stream: bool = False
    stop: str | list[str] | None = None
    random_seed: int | None = Field(None, ge=0)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    repetition_penalty: float | None = None
    n: int | None = Field(None, ge=1)
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: Format | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["auto", "none", "any", "required"] | NamedTool | None = None
    parallel_tool_calls: bool = True
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    prompt_mode: Literal["reasoning"] | None = None
    safe_prompt: bool = False
    prediction: Prediction | None = None
    metadata: dict[str, Any] | None = None
    prompt_cache_key: str | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    guardrails: list[dict[str, Any]] | None = None


def words_of(message: Message) -> str:
    """The text of a message, without what is not text."""
    content = message.content
    if content is None or isinstance(content, str):
        return content or ""
    return " ".join(chunk.text for chunk in content if isinstance(chunk, Text))


def tokens_of(request: Request) -> int:
    return sum(len(words_of(message)) // 4 + 3 for message in request.messages)


def fault_of(request: Request) -> tuple[str, str, str] | None:
    """Type, code and message of what a well-formed request breaks; None: nothing."""
    order = ("invalid_request_message_order", "3230")
    if request.model != NAME:
        return "invalid_model", "1500", f"Invalid model: {request.model}"
    if not request.messages or request.messages[0].role not in ("system", "user"):
        return *order, "Expected first role System or User"
    last = request.messages[-1]
    if last.role not in ("user", "tool") and not (isinstance(last, Assistant) and last.prefix):
        return (
            *order,
            f"Expected last role User or Tool (or Assistant with prefix True) for serving but got {last.role}",
        )
    if fault := _calls_fault(request.messages):
        return "invalid_function_call", "3280", fault
    if tokens_of(request) + (request.max_tokens or 0) > CONTEXT:
        said = f"Prompt contains {tokens_of(request)} tokens, too large for model with {CONTEXT} maximum context length"
        return "invalid_request_error", "3051", said
    return None


def _calls_fault(messages: list[Message]) -> str | None:
    open_calls: set[str] = set()
    for message in messages:
        if isinstance(message, ToolResult):
            if message.tool_call_id not in open_calls:
                return f"Unexpected tool call id {message.tool_call_id}"
            open_calls.discard(message.tool_call_id)
        elif open_calls:
            return "Not the same number of function calls and responses"
        if isinstance(message, Assistant):
            for call in message.tool_calls or ():
                if not CALL_ID.fullmatch(call.id):
                    return f"Tool call id has to be 9 letters or digits but was {call.id}"
                open_calls.add(call.id)
    return "Not the same number of function calls and responses" if open_calls else None
