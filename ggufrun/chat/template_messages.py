"""Requests as the plain dictionaries that chat templates read, also for templates without tools or a system role."""

import json
from collections.abc import Sequence
from typing import Any

from ggufrun.chat.encoded import text_of, thinking_of
from ggufrun.chat.tool_history import ToolIds, tool_arguments, tool_name
from ggufrun.chat.types import ChatRequest, Message, Tool

TemplateMessage = dict[str, Any]

_TOOL_HELP = """You may call the functions below to help with the user's request. They are described by JSON schemas:
<tools>
{tools}
</tools>
To call a function, answer with its name and arguments as JSON, between these tags:
<tool_call>
{{"name": "function_name", "arguments": {{"argument": "value"}}}}
</tool_call>
The result comes back between <tool_response> tags. Call a function only when it is needed; else just answer."""


def template_messages(messages: Sequence[Message], *, nine_character_ids: bool) -> list[TemplateMessage]:
    """Messages with text content; tool-call arguments are objects, as templates expect them."""
    ids = ToolIds() if nine_character_ids else None
    written: list[TemplateMessage] = []
    for message in messages:
        role = "system" if message.role == "developer" else message.role
        plain: TemplateMessage = {"role": role, "content": text_of(message)}
        thinking, _ = thinking_of(message)
        if thinking:
            plain["reasoning_content"] = thinking
        if message.name:
            plain["name"] = message.name
        if role == "assistant":
            _add_calls(plain, message, ids)
        elif role == "tool":
            plain["tool_call_id"] = ids.of_result(message.tool_call_id) if ids else message.tool_call_id or ""
        written.append(plain)
    return written


def template_tools(request: ChatRequest) -> list[dict[str, Any]]:
    return [_described(tool) for tool in request.tools] if request.tool_choice != "none" else []


def without_tools(messages: list[TemplateMessage], tools: list[dict[str, Any]]) -> list[TemplateMessage]:
    """The same conversation for a template that knows no tools: calls are text, results are the user's turns."""
    plain: list[TemplateMessage] = []
    if tools:
        lines = "\n".join(json.dumps(tool["function"], ensure_ascii=False) for tool in tools)
        plain.append({"role": "system", "content": _TOOL_HELP.format(tools=lines)})
    for message in messages:
        if message["role"] == "tool":
            text = f"<tool_response>\n{message['content']}\n</tool_response>"
            _append(plain, {"role": "user", "content": text})
        elif message.get("tool_calls"):
            calls = [_call_text(call["function"]) for call in message["tool_calls"]]
            text = "\n".join(filter(None, [message["content"], *calls]))
            plain.append({"role": "assistant", "content": text})
        else:
            _append(plain, message)
    return plain


def without_system(messages: list[TemplateMessage]) -> list[TemplateMessage]:
    """The same conversation for a template without a system role: its text opens the first user turn."""
    said = [message["content"] for message in messages if message["role"] == "system" and message["content"]]
    others = [message for message in messages if message["role"] != "system"]
    if not said:
        return others
    if others and others[0]["role"] == "user":
        first = {**others[0], "content": "\n\n".join([*said, others[0]["content"]])}
        return [first, *others[1:]]
    return [{"role": "user", "content": "\n\n".join(said)}, *others]


def _add_calls(plain: TemplateMessage, message: Message, ids: ToolIds | None) -> None:
    if ids:
        ids.next_turn()
    if message.tool_calls:
        plain["tool_calls"] = [
            {
                "id": ids.of_call(call.id) if ids else call.id,
                "type": "function",
                "function": {
                    "name": tool_name(call.function.name),
                    "arguments": tool_arguments(call.function.arguments),
                },
            }
            for call in message.tool_calls
        ]


def _described(tool: Tool) -> dict[str, Any]:
    function = tool.function
    schema = {"name": function.name, "description": function.description, "parameters": function.parameters}
    return {"type": "function", "function": schema}


def _call_text(function: dict[str, Any]) -> str:
    call = {"name": function["name"], "arguments": function["arguments"]}
    return f"<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>"


def _append(messages: list[TemplateMessage], message: TemplateMessage) -> None:
    """Append, or join with a last message of the same role: many templates want turns to alternate."""
    if messages and messages[-1]["role"] == message["role"] and message["role"] in ("system", "user"):
        messages[-1] = {**messages[-1], "content": f"{messages[-1]['content']}\n\n{message['content']}"}
    else:
        messages.append(message)
