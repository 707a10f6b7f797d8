"""The body of POST /v1/messages, as Anthropic's clients write it, and its translation to a `ChatRequest`."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, JsonValue

from ggufrun.api.agents.messages_history import AnthropicMessage, Block, to_messages
from ggufrun.api.agents.parts import late_instructions
from ggufrun.api.agents.tools import own_tools
from ggufrun.api.conversation.incoming import Body
from ggufrun.api.conversation.sampling import ModelName, options_of
from ggufrun.chat.types import (
    ChatRequest,
    Constraint,
    Effort,
    Function,
    Message,
    NamedFunction,
    NamedTool,
    Tool,
    ToolChoice,
)
from ggufrun.errors import OutOfRange, Unsupported

_EFFORTS: Final[tuple[tuple[int, Effort], ...]] = ((4_096, "low"), (16_384, "medium"))  # by budgets, in tokens
# Claude Code's first line of the system prompt. It tells the model nothing and is another one in every request, so
# that no prompt would begin like an earlier one, and nothing of the KV cache could be used again.
_BILLING: Final = re.compile(r"\Ax-anthropic-billing-header:[^\n]*\n?")

_EXAMPLES: Final[list[JsonValue]] = [
    {
        "model": "mistral-medium-3.5",
        "max_tokens": 200,
        "system": "You are terse.",
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
    },
    {
        "model": "mistral-medium-3.5",
        "max_tokens": 200,
        "messages": [{"role": "user", "content": "How warm is it in Paris?"}],
        "tools": [
            {
                "name": "temperature_in",
                "description": "The temperature in a city, in degrees Celsius.",
                "input_schema": {
                    "type": "object",
                    "properties": {"city": {"type": "string"}},
                    "required": ["city"],
                },
            }
        ],
        "tool_choice": {"type": "any"},
        "stream": True,
    },
]


class AnthropicTool(Body):
    """The client's own tools have the type "custom", or none."""

    type: str | None = None
    name: str = ""
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    strict: bool | None = None
    cache_control: dict[str, Any] | None = None


class AnthropicToolChoice(Body):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(Body):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class OutputFormat(Body):
    type: Literal["json_schema"]
    definition: Annotated[dict[str, Any], Field(alias="schema")]


class OutputConfig(Body):
    effort: Effort | None = None
    format: OutputFormat | None = None


class MessagesBody(Body):
    """null means "not given" everywhere; without `max_tokens` the answer may fill the context."""

    model_config = ConfigDict(json_schema_extra={"examples": _EXAMPLES})

    model: ModelName = ""
    messages: tuple[AnthropicMessage, ...]
    system: str | tuple[Block, ...] | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: tuple[str, ...] | None = None
    stream: bool | None = None
    tools: tuple[AnthropicTool, ...] | None = None
    tool_choice: AnthropicToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None
    cache_control: dict[str, Any] | None = None
    context_management: dict[str, Any] | None = None
    container: str | dict[str, Any] | None = None
    mcp_servers: tuple[dict[str, Any], ...] | None = None

    def to_request(self) -> ChatRequest:
        """Raises RequestError for what this server does not have."""
        for name, hint in _REFUSED.items():
            if getattr(self, name):
                raise Unsupported(f"{name} is not supported here.", hint, name)
        choice, format = self.tool_choice, self.output_config and self.output_config.format
        return ChatRequest(
            messages=late_instructions([*self._system(), *to_messages(self.messages)]),
            options=options_of(self, stop=self.stop_sequences, reasoning_effort=self._effort()),
            tools=tuple(_tool(tool) for tool in own_tools(self.tools or (), "custom")),
            tool_choice=_choice(choice),
            parallel_tool_calls=not (choice and choice.disable_parallel_tool_use),
            constraint=Constraint("json_schema", schema=format.definition) if format else None,
            live=bool(self.stream),
        )

    def _system(self) -> Sequence[Message]:
        blocks = self.system or ()
        texts = [blocks] if isinstance(blocks, str) else [_system_text(*each) for each in enumerate(blocks)]
        texts = [text for text in (_BILLING.sub("", text) for text in texts) if text]
        return [Message(role="system", content="\n\n".join(texts))] if texts else []

    def _effort(self) -> Effort | None:
        """How much to think. None leaves it to the model's settings."""
        thinking = self.thinking
        if thinking is not None and thinking.type == "disabled":
            return "none"
        if self.output_config is not None and self.output_config.effort is not None:
            return self.output_config.effort
        if thinking is None:
            return None
        budget = thinking.budget_tokens or 0
        return next((effort for most, effort in _EFFORTS if 0 < budget <= most), "high")


_REFUSED: Final = {
    "container": "No code is run here: leave container out.",
    "mcp_servers": "Connect to them in the client, and give their tools as tools.",
}


def _system_text(index: int, block: Block) -> str:
    if block.type != "text" or block.text is None:
        raise OutOfRange("The system prompt is made of text blocks.", "Send text.", f"system.{index}")
    return block.text


def _tool(tool: AnthropicTool) -> Tool:
    function = Function(
        name=tool.name,
        description=tool.description or "",
        parameters=tool.input_schema or {},
        strict=bool(tool.strict),
    )
    return Tool(function=function)


def _choice(choice: AnthropicToolChoice | None) -> ToolChoice:
    if choice is None:
        return "auto"
    if choice.type != "tool":
        return choice.type
    if not choice.name:
        raise OutOfRange("tool_choice names no tool.", "Add name.", "tool_choice.name")
    return NamedTool(function=NamedFunction(name=choice.name))
