"""The tools of OpenAI's Responses, those in namespaces too, as the model is told of them, and back.

A namespace is a group of tools, for agents one MCP server's. The model reads its name in front of the tool's.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import model_validator

from ggufrun.api.agents.tools import own_tools
from ggufrun.api.calls.usage import Json
from ggufrun.api.conversation.incoming import Body
from ggufrun.api.conversation.wire import only_allowed
from ggufrun.chat.types import Function, NamedFunction, NamedTool, Tool, ToolChoice
from ggufrun.errors import OutOfRange, cut

Called = Mapping[str, tuple[str, str]]  # namespace and name, by the name that the model reads


class ResponseTool(Body):
    """A function, or a namespace with `tools`."""

    type: str
    name: str = ""
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    tools: "tuple[ResponseTool, ...] | None" = None


class AllowedTool(Body):
    """One of the request's tools; those of other types than function may have no name."""

    type: str = "function"
    name: str | None = None
    namespace: str | None = None

    @model_validator(mode="after")
    def _named(self) -> "AllowedTool":
        if self.type == "function" and not self.name:
            raise ValueError("An allowed function needs its name")
        return self


class ResponseToolChoice(Body):
    type: str
    name: str | None = None
    namespace: str | None = None
    mode: Literal["auto", "required"] | None = None
    tools: tuple[AllowedTool, ...] | None = None


def told_name(namespace: str | None, name: str) -> str:
    if not namespace:
        return name
    return f"{namespace}{name}" if namespace.endswith("_") else f"{namespace}__{name}"


def told_tools(tools: Sequence[ResponseTool]) -> tuple[Tool, ...]:
    """Those that run in the agent. Raises Unsupported where there are others only."""
    return tuple(_tool(tool) for tool in own_tools([_renamed(*each) for each in _flat(tools)], "function"))


def called_names(tools: Sequence[ResponseTool]) -> Called:
    """How the agent calls its tools; only those whose names the model reads differently."""
    return {told_name(space, tool.name): (space, tool.name) for space, tool in _flat(tools) if space}


def shown_tools(tools: Sequence[ResponseTool]) -> list[Json]:
    """As a response repeats them. `parameters` and `strict` must be there, null or not."""
    empty = {"parameters": None, "strict": None}
    own = [tool for tool in tools if tool.type in ("function", "namespace")]
    return [written(tool) if tool.type == "namespace" else empty | written(tool) for tool in own]


def chosen(
    tools: tuple[Tool, ...], choice: Literal["auto", "none", "required"] | ResponseToolChoice | None
) -> tuple[tuple[Tool, ...], ToolChoice]:
    """The tools that may be called, and which of them must be."""
    if not isinstance(choice, ResponseToolChoice):
        return tools, choice or "auto"
    if choice.type == "function" and choice.name:
        return tools, NamedTool(function=NamedFunction(name=told_name(choice.namespace, choice.name)))
    if choice.type == "allowed_tools":
        own = own_tools(choice.tools or (), "function")  # the model was not told of others
        allowed = [told_name(tool.namespace, tool.name or "") for tool in own]
        return only_allowed(tools, allowed, "tool_choice.tools"), choice.mode or "auto"
    hint = 'Use "auto", "none", "required", or {"type": "function", "name": …}.'
    raise OutOfRange(f"tool_choice of type {cut(choice.type)!r} is not known.", hint, "tool_choice")


def written(part: Body) -> Json:
    return part.model_dump(by_alias=True, exclude_none=True)


def _flat(tools: Sequence[ResponseTool]) -> list[tuple[str | None, ResponseTool]]:
    flat: list[tuple[str | None, ResponseTool]] = []
    for tool in tools:
        if tool.type == "namespace":
            flat += [(tool.name, each) for each in tool.tools or ()]
        else:
            flat.append((None, tool))
    return flat


def _renamed(namespace: str | None, tool: ResponseTool) -> ResponseTool:
    return tool.model_copy(update={"name": told_name(namespace, tool.name)})


def _tool(tool: ResponseTool) -> Tool:
    function = Function(
        name=tool.name,
        description=tool.description or "",
        parameters=tool.parameters or {},
        strict=bool(tool.strict),
    )
    return Tool(function=function)
