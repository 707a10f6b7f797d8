"""The body of POST /v1/responses, as OpenAI's and Mistral's clients write it, and its translation to a `ChatRequest`.

Nothing is stored: every request brings its whole conversation.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, JsonValue

from ggufrun.api.agents.parts import late_instructions
from ggufrun.api.agents.responses_input import InputItem, to_messages
from ggufrun.api.agents.responses_tools import (
    ResponseTool,
    ResponseToolChoice,
    chosen,
    shown_tools,
    told_tools,
    written,
)
from ggufrun.api.calls.usage import Json
from ggufrun.api.conversation.incoming import Body
from ggufrun.api.conversation.sampling import ModelName, options_of
from ggufrun.chat.types import ChatRequest, Constraint, Effort, Message, ModelInfo
from ggufrun.errors import OutOfRange, Unsupported

LOGPROBS: Final = "message.output_text.logprobs"

_EXAMPLES: Final[list[JsonValue]] = [
    {"model": "mistral-medium-3.5", "input": "What is the capital of France?", "max_output_tokens": 100},
    {
        "model": "mistral-medium-3.5",
        "instructions": "You are terse.",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "How warm is it in Paris?"}]}],
        "tools": [
            {
                "type": "function",
                "name": "temperature_in",
                "description": "The temperature in a city, in degrees Celsius.",
                "parameters": {
                    "type": "object",
                    "properties": {"city": {"type": "string"}},
                    "required": ["city"],
                },
            }
        ],
        "tool_choice": "required",
        "stream": True,
    },
]


class Reasoning(Body):
    effort: Effort | None = None
    summary: str | None = None


class TextFormat(Body):
    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str | None = None
    description: str | None = None
    definition: Annotated[dict[str, Any] | bool | None, Field(alias="schema")] = None
    strict: bool | None = None


class TextConfig(Body):
    format: TextFormat | None = None
    verbosity: str | None = None


class ResponsesBody(Body):
    """null means "not given" everywhere."""

    model_config = ConfigDict(json_schema_extra={"examples": _EXAMPLES})

    model: ModelName = ""
    input: str | tuple[InputItem, ...] = ()
    instructions: str | None = None
    tools: tuple[ResponseTool, ...] | None = None
    tool_choice: Literal["auto", "none", "required"] | ResponseToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    text: TextConfig | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    include: tuple[str, ...] | None = None
    metadata: dict[str, str] | None = None
    truncation: str | None = None
    store: bool | None = None
    max_tool_calls: int | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    user: str | None = None
    client_metadata: dict[str, Any] | None = None
    previous_response_id: str | None = None
    conversation: str | dict[str, Any] | None = None
    background: bool | None = None
    prompt: dict[str, Any] | None = None
    moderation: dict[str, Any] | None = None

    def to_request(self) -> ChatRequest:
        """Raises RequestError for fields that contradict each other or that this server does not have."""
        for name, hint in _REFUSED.items():
            if getattr(self, name):
                raise Unsupported(f"{name} is not supported here.", hint, name)
        tools = told_tools(self.tools or ())
        tools, choice = chosen(tools, self.tool_choice)
        return ChatRequest(
            messages=self._messages(),
            options=options_of(
                self,
                max_tokens=self.max_output_tokens,
                logprobs=self._logprobs(),
                reasoning_effort=self.reasoning.effort if self.reasoning else None,
            ),
            tools=tools,
            tool_choice=choice,
            parallel_tool_calls=self.parallel_tool_calls is not False,
            constraint=_constraint(self.text.format if self.text else None),
            live=bool(self.stream),
        )

    def echo(self, info: ModelInfo) -> Json:
        """The fields of a response that repeat what it was asked with."""
        format = self.text.format if self.text else None
        text = {"format": written(format) if format else {"type": "text"}}
        choice = self.tool_choice
        return {
            "background": False,
            "instructions": self.instructions,
            "max_output_tokens": self.max_output_tokens,
            "max_tool_calls": self.max_tool_calls,
            "metadata": self.metadata or {},
            "parallel_tool_calls": self.parallel_tool_calls is not False,
            "previous_response_id": None,
            "prompt_cache_key": self.prompt_cache_key,
            "reasoning": {"effort": self.reasoning.effort if self.reasoning else None, "summary": None},
            "safety_identifier": self.safety_identifier,
            "service_tier": "default",
            "store": False,
            "temperature": info.defaults.temperature if self.temperature is None else self.temperature,
            "text": text | ({"verbosity": self.text.verbosity} if self.text and self.text.verbosity else {}),
            "tool_choice": written(choice) if isinstance(choice, ResponseToolChoice) else choice or "auto",
            "tools": shown_tools(self.tools or ()),
            "top_logprobs": self.top_logprobs or 0,
            "top_p": info.defaults.top_p if self.top_p is None else self.top_p,
            "truncation": "disabled",
            "user": self.user,
        }

    def _messages(self) -> tuple[Message, ...]:
        first = [Message(role="system", content=self.instructions)] if self.instructions else []
        if isinstance(self.input, str):
            return (*first, Message(role="user", content=self.input))
        return late_instructions([*first, *to_messages(self.input)])

    def _logprobs(self) -> int | None:
        return self.top_logprobs or 0 if self.top_logprobs or LOGPROBS in (self.include or ()) else None


_WHOLE: Final = "Nothing is kept here: send the whole conversation as input."
_REFUSED: Final = {
    "previous_response_id": _WHOLE,
    "conversation": _WHOLE,
    "background": "Wait for the answer, or stream it.",
    "prompt": "Send the prompt's text as instructions or input.",
    "moderation": "Moderate the text yourself.",
}


def _constraint(wanted: TextFormat | None) -> Constraint | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return Constraint("json_object")
    if wanted.definition is None:
        raise OutOfRange("text.format is json_schema without a schema.", "Add schema.", "text.format.schema")
    return Constraint("json_schema", schema=wanted.definition, strict=bool(wanted.strict))
