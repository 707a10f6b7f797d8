"""Refuses tools whose parameters are no JSON schema, and says which tool. What is enforced of one is not known here."""

import json
from collections.abc import Sequence
from functools import lru_cache

from mistral_common.utils.json_utils import validate_json_schema_by_draft7

from ggufrun.chat.types import Tool
from ggufrun.errors import RequestError


def check_schemas(tools: Sequence[Tool]) -> None:
    """Raise RequestError with the tool's place in `param`."""
    for index, tool in enumerate(tools):
        complaint = _complaint(json.dumps(tool.function.parameters))
        if complaint:
            raise bad_tool(index, tool, "parameters", f"Invalid tool schema: {complaint}")


def bad_tool(index: int, tool: Tool, field: str, message: str) -> RequestError:
    """The error for one of many tools."""
    hint = f"It is in tool {index}, {tool.function.name!r}."
    return RequestError(message if message.endswith(".") else f"{message}.", hint, f"tools.{index}.function.{field}")


@lru_cache(256)
def _complaint(schema: str) -> str:
    """Agents send the same tools with every request, and a check takes a millisecond."""
    try:
        validate_json_schema_by_draft7(json.loads(schema))
    except ValueError as error:
        return " ".join(str(error).split())
    return ""
