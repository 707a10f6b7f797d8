"""The body of POST /v1/chat/completions, in both dialects' spellings, and its translation to a `ChatRequest`."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, JsonValue

from ggufrun.api.conversation.incoming import Body, Fault, IncomingMessage, given
from ggufrun.api.conversation.sampling import ModelName, Stop, options_of
from ggufrun.chat.types import (
    ChatOptions,
    ChatRequest,
    Constraint,
    Effort,
    Function,
    NamedFunction,
    NamedTool,
    Tool,
    ToolChoice,
)
from ggufrun.errors import OutOfRange, Unsupported, cut


class JsonSchema(Body):
    name: str = "answer"
    description: str | None = None
    # "schema" is a method's name of pydantic's own, so the field has another
    definition: Annotated[dict[str, Any] | bool, Field(alias="schema")] = True
    strict: bool | None = None


class ResponseFormat(Body):
    """`regex`, `lark` and `gbnf` are ours: `{"type": "regex", "source": "[a-z]+"}`."""

    type: Literal["text", "json_object", "json_schema", "regex", "lark", "gbnf"] = "text"
    json_schema: JsonSchema | None = None
    source: str = ""


class StreamOptions(Body):
    include_usage: bool | None = None


class ToolFunction(Body):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class IncomingTool(Body):
    type: str = "function"
    function: ToolFunction | None = None


class AllowedTool(Body):
    type: Literal["function"] = "function"
    function: NamedFunction


class AllowedTools(Body):
    mode: Literal["auto", "required"] = "auto"
    tools: tuple[AllowedTool, ...] = ()


class ChosenTool(Body):
    type: str = "function"
    function: NamedFunction | None = None
    allowed_tools: AllowedTools | None = None


_EXAMPLES: Final[list[JsonValue]] = [
    {
        "model": "mistral-medium-3.5",
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "temperature": 0.7,
        "max_tokens": 100,
    },
    {
        "model": "mistral-medium-3.5",
        "messages": [{"role": "user", "content": "How warm is it in Paris?"}],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "temperature_in",
                    "description": "The temperature in a city, in degrees Celsius.",
                    "parameters": {
                        "type": "object",
                        "properties": {"city": {"type": "string"}},
                        "required": ["city"],
                    },
                },
            }
        ],
        "tool_choice": "any",
        "stream": True,
    },
    {
        "model": "mistral-medium-3.5",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is in this image?"},
                    {"type": "image_url", "image_url": {"url": "https://example.org/cat.jpg"}},
                ],
            }
        ],
    },
]


class ChatCompletionBody(Body):
    """Mistral's fields, then OpenAI's names and additions, then ours. null means "not given" everywhere."""

    model_config = ConfigDict(json_schema_extra={"examples": _EXAMPLES})

    model: ModelName = ""
    messages: tuple[IncomingMessage, ...]
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    min_tokens: int | None = None
    stream: bool | None = None
    stop: Stop | None = None
    random_seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    top_k: int | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    prompt_logprobs: bool | int | None = None
    top_prompt_logprobs: int | None = None
    response_format: ResponseFormat | None = None
    tools: tuple[IncomingTool, ...] | None = None
    tool_choice: Literal["auto", "none", "any", "required"] | ChosenTool | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Effort | None = None
    prompt_mode: Literal["reasoning"] | None = None
    safe_prompt: bool | None = None
    prediction: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None
    guardrails: tuple[dict[str, Any], ...] | None = None

    max_completion_tokens: int | None = None
    seed: int | None = None
    stream_options: StreamOptions | None = None
    logit_bias: dict[int, float] | None = None
    modalities: tuple[str, ...] | None = None
    audio: dict[str, Any] | None = None
    web_search_options: dict[str, Any] | None = None
    functions: tuple[dict[str, Any], ...] | None = None
    function_call: str | dict[str, Any] | None = None
    user: str | None = None
    store: bool | None = None
    verbosity: str | None = None
    safety_identifier: str | None = None
    prompt_cache_retention: str | None = None

    min_p: float | None = None

    def given(self) -> Mapping[str, Any]:
        """The fields that were written and are not null."""
        names = (*self.model_fields_set, *(self.__pydantic_extra__ or {}))
        return {name: value for name in names if (value := getattr(self, name, None)) is not None}

    def foreign(self) -> Iterator[Fault]:
        """What Mistral's API does not know of it, beside fields that nobody knows."""
        messages = (message.foreign(("messages", index)) for index, message in enumerate(self.messages))
        return chain(given(self, _OPENAI_FIELDS), chain.from_iterable(messages))

    def to_request(self, *, strict_order: bool = False, fits: bool = False) -> ChatRequest:
        """Raises RequestError for fields that contradict each other or that this server does not have."""
        self._refuse()
        tools, choice = self._tools()
        return ChatRequest(
            messages=tuple(message.to_message(index) for index, message in enumerate(self.messages)),
            options=self._options(),
            tools=tools,
            tool_choice=choice,
            parallel_tool_calls=self.parallel_tool_calls is not False,
            constraint=_constraint(self.response_format),
            live=bool(self.stream),
            strict_order=strict_order,
            fits=fits,
            safe_prompt=bool(self.safe_prompt),
            prompt_mode=self.prompt_mode,
        )

    def _refuse(self) -> None:
        """What would change the answer and cannot be done must not be dropped in silence."""
        for name, (message, hint) in _REFUSED.items():
            if getattr(self, name):
                raise Unsupported(message, hint, name)
        if self.modalities and set(self.modalities) - {"text"}:
            raise Unsupported("Only text comes out of this server.", 'Use modalities ["text"].', "modalities")
        if self.top_logprobs and not self.logprobs:
            raise OutOfRange("top_logprobs needs logprobs.", "Set logprobs to true as well.", "top_logprobs")

    def _options(self) -> ChatOptions:
        most = self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens
        return options_of(
            self,
            seed=self.seed if self.random_seed is None else self.random_seed,
            max_tokens=most,
            logprobs=(self.top_logprobs or 0) if self.logprobs else None,
            reasoning_effort=self.reasoning_effort,
        )

    def _tools(self) -> tuple[tuple[Tool, ...], ToolChoice]:
        tools = tuple(_tool(tool, index) for index, tool in enumerate(self.tools or ()))
        choice = self.tool_choice
        if not isinstance(choice, ChosenTool):
            return tools, choice or "auto"
        if choice.type == "function" and choice.function is not None:
            return tools, NamedTool(function=choice.function)
        if choice.type == "allowed_tools" and choice.allowed_tools is not None:
            allowed = [each.function.name for each in choice.allowed_tools.tools]
            return only_allowed(tools, allowed, "tool_choice.allowed_tools.tools"), choice.allowed_tools.mode
        hint = 'Use "auto", "none", "any", or {"type": "function", "function": {"name": …}}.'
        raise OutOfRange(f"tool_choice of type {cut(choice.type)!r} is not known.", hint, "tool_choice")


_REFUSED: Final = {
    "prompt_logprobs": ("Logprobs of the prompt are not supported.", "Leave prompt_logprobs out."),
    "top_prompt_logprobs": ("Logprobs of the prompt are not supported.", "Leave top_prompt_logprobs out."),
    "guardrails": ("No guardrails run here.", "Leave guardrails out, or moderate the text yourself."),
    "audio": ("This server does not speak.", "Leave audio out."),
    "web_search_options": ("This server does not search the web.", "Give the model a tool that does."),
    "functions": ("functions are of the old style.", "Use tools."),
    "function_call": ("function_call is of the old style.", "Use tool_choice."),
}

_OPENAI_FIELDS: Final = (
    *("max_completion_tokens", "seed", "stream_options", "logit_bias", "modalities", "audio", "web_search_options"),
    *("functions", "function_call", "user", "store", "verbosity", "safety_identifier", "prompt_cache_retention"),
    "min_p",
)


def only_allowed(tools: Sequence[Tool], names: Sequence[str], at: str) -> tuple[Tool, ...]:
    """Those of the names. Raises OutOfRange for a name that no tool has; `at` is where the names stand."""
    known = {tool.function.name for tool in tools}
    for index, name in enumerate(names):
        if name not in known:
            message = f"tool_choice allows {cut(name)!r}, which is not among the tools."
            raise OutOfRange(message, "Add it to tools, or leave it out.", f"{at}.{index}")
    return tuple(tool for tool in tools if tool.function.name in names)


def _tool(tool: IncomingTool, index: int) -> Tool:
    if tool.type != "function":
        hint = "Use tools of type function."
        raise Unsupported(f"Tools of type {cut(tool.type)!r} are not run here.", hint, f"tools.{index}.type")
    if tool.function is None:
        raise OutOfRange("A tool has no function.", "Add its name and parameters.", f"tools.{index}.function")
    given = tool.function
    function = Function(
        name=given.name,
        description=given.description or "",
        parameters=given.parameters or {},
        strict=bool(given.strict),
    )
    return Tool(function=function)


def _constraint(wanted: ResponseFormat | None) -> Constraint | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_schema":
        if wanted.json_schema is None:
            hint = "Add json_schema with a name and a schema."
            raise OutOfRange("response_format.type is json_schema without json_schema.", hint, "response_format")
        given = wanted.json_schema
        return Constraint("json_schema", schema=given.definition, strict=bool(given.strict))
    return Constraint(wanted.type, source=wanted.source)
