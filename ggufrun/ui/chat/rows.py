"""A branch as the rows of a `gr.Chatbot`: each part of a message is one, so that a row's number says whose it is."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from ggufrun.ui.ask.files import from_part
from ggufrun.ui.chat.conversation import Said
from ggufrun.ui.chat.markup import fenced, inline, tame
from ggufrun.ui.chat.pictures import picture_file

Bubble = dict[str, Any]
Kind = Literal["text", "thought", "call", "result", "file", "picture", "error"]
LONGEST_FOLDED: Final = 20_000  # characters of what is folded away: the browser gets them with each answer


@dataclass(frozen=True, slots=True)
class Row:
    """`part`: which part of the message's content it is, where that is a list."""

    message: str
    kind: Kind
    bubble: Bubble
    part: int | None = None


def rows(branch: Iterable[Said], *, as_json: bool = False, running: bool = False) -> list[Row]:
    """`as_json`: answers that are JSON are shown as code. `running`: the last of them is still to come to its end."""
    return [row for message in branch for row in _of(message, as_json, running)]


def bubbles(shown: Iterable[Row]) -> list[Bubble]:
    return [row.bubble for row in shown]


def _of(message: Said, as_json: bool, running: bool) -> Iterator[Row]:
    if message.role == "tool":
        title = f"Result of {inline(message.name or message.tool_call_id or 'a tool')}"
        yield Row(message.id, "result", _folded(title, fenced(_cut(_text(message)))))
        return
    if message.thinking:
        yield _thought(message, running and not message.content and not message.tool_calls)
    yield from _content(message, as_json and message.role == "assistant" and not running)
    for call in message.tool_calls:
        yield Row(message.id, "call", _folded(*_call(call)))
    if message.state == "failed":
        yield Row(message.id, "error", _bubble("assistant", f"**The answer failed.** {tame(_failure(message))}"))
    elif message.role == "assistant" and not (message.content or message.thinking or message.tool_calls):
        yield Row(message.id, "text", _bubble("assistant", "…" if running else "*Stopped before its first word.*"))


def _content(message: Said, as_json: bool) -> Iterator[Row]:
    if isinstance(message.content, str):
        if message.content:
            yield Row(message.id, "text", _bubble(message.role, _written(message.content, as_json)))
        return
    for at, part in enumerate(message.content):
        if part.get("type") == "image_url":
            yield _picture(message, part, at)
        elif (file := from_part(dict(part))) is not None:
            name, text = file
            yield Row(message.id, "file", _folded(f"File {inline(name)}", fenced(_cut(text)), message.role), at)
        elif isinstance(part.get("text"), str):
            yield Row(message.id, "text", _bubble(message.role, tame(part["text"])), at)


def _picture(message: Said, part: Mapping[str, Any], at: int) -> Row:
    path = picture_file(part)
    if path is None:
        return Row(message.id, "picture", _bubble(message.role, "*A picture that is not shown.*"), at)
    return Row(message.id, "picture", {"role": message.role, "content": {"path": path, "alt_text": "picture"}}, at)


def _thought(message: Said, thinks: bool) -> Row:
    took = message.meta.get("thinking_ms")
    title = "Thinking" if thinks else f"Thought for {_seconds(took)}" if isinstance(took, int | float) else "Thought"
    status = "pending" if thinks else "done"
    return Row(message.id, "thought", _folded(title, tame(message.thinking), status=status))


def _call(call: Mapping[str, Any]) -> tuple[str, str]:
    function = call.get("function")
    function = function if isinstance(function, dict) else {}  # a client may have stored anything
    return f"Calls {inline(str(function.get('name') or ''))}", fenced(_cut(_pretty(function.get("arguments"))), "json")


def _written(text: str, as_json: bool) -> str:
    if as_json and (pretty := _json(text)) is not None:
        return fenced(pretty, "json")
    return tame(text)


def _json(text: str) -> str | None:
    """None for what is no JSON. What has several lines is written well enough."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return text.strip() if "\n" in text.strip() else json.dumps(value, indent=2, ensure_ascii=False)


def _pretty(arguments: object) -> str:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
    return _json(text) or text


def _failure(message: Said) -> str:
    error = message.meta.get("error")
    error = error.get("message") if isinstance(error, dict) else error
    return str(error or "The server says nothing about it.")


def _text(message: Said) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\n".join(str(part["text"]) for part in message.content if isinstance(part.get("text"), str))


def _cut(text: str) -> str:
    more = len(text) - LONGEST_FOLDED
    return text if more <= 0 else f"{text[:LONGEST_FOLDED]}\n… and {more:,} characters more"


def _seconds(ms: float) -> str:
    return f"{ms / 1e3:.1f} s" if ms < 9_950 else f"{ms / 1e3:,.0f} s"


def _bubble(role: str, text: str) -> Bubble:
    # Content that is a mere string would be dedented, as a docstring is.
    return {"role": "user" if role == "user" else "assistant", "content": [{"type": "text", "text": text}]}


def _folded(title: str, text: str, role: str = "assistant", *, status: str = "done") -> Bubble:
    return {**_bubble(role, text), "metadata": {"title": title, "status": status}}
