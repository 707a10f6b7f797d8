"""The body of POST /v1/chat/completions, in both dialects' spellings, and its translation to a `ChatRequest`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ggufrun.chat.types import ChatOptions, ChatRequest, Constraint, Message, Tool, ToolChoice
from ggufrun.errors import RequestError


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class JsonSchema(_Body):
    name: str = "answer"
    description: str | None = None
    # "schema" is a method's name of pydantic's own, so the field has another
    definition: Annotated[dict[str, Any] | bool, Field(alias="schema")] = True
    strict: bool | None = None


class ResponseFormat(_Body):
    """`regex`, `lark` and `gbnf` are ours: `{"type": "regex", "source": "[a-z]+"}`."""

    type: Literal["text", "json_object", "json_schema", "regex", "lark", "gbnf"] = "text"
    json_schema: JsonSchema | None = None
    source: str = ""


class StreamOptions(_Body):
    include_usage: bool = False


class ChatCompletionBody(_Body):
    model: str = ""
    messages: tuple[Message, ...]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    min_tokens: int | None = None
    stop: str | tuple[str, ...] | None = None
    random_seed: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: dict[int, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    n: int | None = None
    response_format: ResponseFormat | None = None
    tools: tuple[Tool, ...] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None

    def to_request(self) -> ChatRequest:
        """Raises RequestError for fields that contradict each other."""
        return ChatRequest(
            messages=self.messages,
            options=self._options(),
            tools=self.tools or (),
            tool_choice=self.tool_choice or "auto",
            parallel_tool_calls=self.parallel_tool_calls is not False,
            constraint=_constraint(self.response_format),
        )

    def _options(self) -> ChatOptions:
        most = self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens
        return ChatOptions(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            min_p=self.min_p,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            repetition_penalty=self.repetition_penalty,
            seed=self.seed if self.random_seed is None else self.random_seed,
            max_tokens=most,
            min_tokens=self.min_tokens,
            stop=(self.stop,) if isinstance(self.stop, str) else self.stop,
            logit_bias=tuple((self.logit_bias or {}).items()),
            logprobs=(self.top_logprobs or 0) if self.logprobs else None,
            n=1 if self.n is None else self.n,
            reasoning_effort=self.reasoning_effort,
        )


def _constraint(wanted: ResponseFormat | None) -> Constraint | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_schema":
        if wanted.json_schema is None:
            hint = "Add json_schema with a name and a schema."
            raise RequestError("response_format.type is json_schema without json_schema.", hint, "response_format")
        return Constraint("json_schema", schema=wanted.json_schema.definition)
    return Constraint(wanted.type, source=wanted.source)
