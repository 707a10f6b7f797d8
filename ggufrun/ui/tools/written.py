"""The tools that a user writes as JSON: read, and what is wrong with them, where and in which."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from ggufrun.errors import GgufrunError
from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError
from ggufrun.ui.tools.naming import server_of

Tool = dict[str, Any]
_PLACE: Final = re.compile(r"tools\.(\d+)\.?")
EXAMPLE: Final[Tool] = {
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


class BadTools(GgufrunError):
    """What is wrong with what was written, and where."""


def read(text: str) -> list[Tool]:
    """Raises BadTools with line and column."""
    if not text.strip():
        return []
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadTools(f"Line {error.lineno}, column {error.colno}: {_plain(error.msg)}.") from error
    except RecursionError as error:
        raise BadTools("It is nested too deep.") from error
    if not isinstance(found, list):
        raise BadTools("Write a list of tools: [ … ].")
    for index, tool in enumerate(found):
        if not isinstance(tool, dict):
            raise BadTools(f"Tool {index + 1} is no object: write {{ … }}.")
    return found


def reads(text: str, tools: Sequence[Tool]) -> bool:
    """Whether it is these."""
    try:
        return read(text) == list(tools)
    except BadTools:
        return False


def written(tools: Sequence[Tool]) -> str:
    """As a user would write them."""
    return json.dumps(list(tools), indent=2, ensure_ascii=False) if tools else ""


def tool_name(tool: Mapping[str, Any]) -> str:
    """ "" for one that has none."""
    function = tool.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else ""


def check_names(tools: Sequence[Tool], servers: Collection[str]) -> None:
    """Raises BadTools for names that two have, or that MCP tools may have."""
    seen: dict[str, int] = {}
    for index, name in enumerate(map(tool_name, tools)):
        if name and name in seen:
            raise BadTools(f"Tools {seen[name] + 1} and {index + 1} are both called {name!r}. Name one otherwise.")
        if server := server_of(name, servers):
            start = f"{server}__"
            raise BadTools(f"{_which(tools, index)}: names with {start!r} are for tools of the MCP server {server!r}.")
        seen[name] = index


async def check(tools: Sequence[Tool], model: str | None, api: Api) -> None:
    """Let the server that will get them look at them. Raises BadTools; says nothing where no model is served.

    It counts them only if the model is loaded, and loads none.
    """
    if not tools:
        return
    body = {"message": {"content": "."}, "settings": {"tools": list(tools)}, "model": model or ""}
    try:
        await api.post("/ggufrun/v1/chats/count", body)
    except ApiError as error:
        place = _PLACE.match(error.param)
        if place is not None:
            said = _PLACE.sub("", str(error), count=1) if str(error).startswith("tools.") else str(error)
            raise BadTools(f"{_which(tools, int(place[1]))}: {said}") from error
        if error.param.startswith("tools"):
            raise BadTools(str(error)) from error


def _which(tools: Sequence[Tool], index: int) -> str:
    name = tool_name(tools[index]) if index < len(tools) else ""
    return f"Tool {index + 1}" + (f", {name!r}" if name else "")


def _plain(message: str) -> str:
    """The json module's words, for people who do not write Python."""
    said = {
        "Expecting value": "a value is missing",
        "Expecting ',' delimiter": "a comma or a closing bracket is missing",
        "Expecting ':' delimiter": "a colon is missing",
        "Expecting property name enclosed in double quotes": 'a name in "double quotes" is missing',
        "Extra data": "the list has ended before",
        "Illegal trailing comma before end of array": "the last item has a comma behind it",
        "Illegal trailing comma before end of object": "the last item has a comma behind it",
    }
    return said.get(message, message[:1].lower() + message[1:])
