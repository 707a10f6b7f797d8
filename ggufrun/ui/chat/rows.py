"""A branch as the rows of a `gr.Chatbot`: each part of a message is one, so that a row's number says whose it is."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from ggufrun.ui.ask.files import from_part
from ggufrun.ui.chat.conversation import Said
from ggufrun.ui.chat.markup import fenced, inline, tame
from ggufrun.ui.chat.pictures import Pictures
from ggufrun.ui.chat.pieces import pieces
from ggufrun.ui.chat.verdict import is_cut, verdict

Bubble = dict[str, Any]
Kind = Literal["text", "thought", "call", "result", "file", "picture", "error", "note"]
_SIGN: Final = re.compile(r"[\\`*_{}\[\]()#+.!|~$-]")
LONGEST_FOLDED: Final = 20_000  # characters of what is folded away: the browser gets them with each answer


@dataclass(frozen=True, slots=True)
class Row:
    """`part`: which part of the message's content it is, where that is a list."""

    message: str
    kind: Kind
    bubble: Bubble
    part: int | None = None


def rows(
    branch: Iterable[Said],
    *,
    schema: str | None = None,
    pictures: Pictures | None = None,
    running: bool = False,
) -> list[Row]:
    """`schema`: answers are shown as JSON that is to match this. `running`: the last is still to come to its end.

    `pictures`: those that lie somewhere already.
    """
    drawing = _Drawing(schema, pictures or Pictures(), running)
    return [row for message in branch for row in drawing.of(message)]


def bubbles(shown: Iterable[Row]) -> list[Bubble]:
    return [row.bubble for row in shown]


@dataclass(frozen=True, slots=True)
class _Drawing:
    schema: str | None
    pictures: Pictures
    running: bool

    def of(self, message: Said) -> Iterator[Row]:
        if message.role == "tool":
            title = f"Result of {inline(message.name or message.tool_call_id or 'a tool')}"
            yield Row(message.id, "result", _folded(title, fenced(_cut(_text(message)))))
            return
        if message.thinking:
            yield _thought(message, self.running and not message.content and not message.tool_calls)
        yield from self._content(message)
        for call in message.tool_calls:
            yield Row(message.id, "call", _folded(*_call(call)))
        if message.state == "failed":
            yield Row(message.id, "error", _bubble("assistant", f"**The answer failed.** {tame(_failure(message))}"))
        elif message.role == "assistant" and not (message.content or message.thinking or message.tool_calls):
            stopped = message.state == "stopped"
            said = "*Stopped before its first word.*" if stopped else "*The answer is empty.*"
            yield Row(message.id, "text", _bubble("assistant", "…" if self.running else said))

    def _content(self, message: Said) -> Iterator[Row]:
        if isinstance(message.content, str):
            if message.content:
                yield from self._text(message, message.content)
            return
        for at, part in enumerate(message.content):
            if part.get("type") == "image_url":
                yield self._picture(message, part, at)
            elif (file := from_part(dict(part))) is not None:
                name, text = file
                yield Row(message.id, "file", _folded(f"File {inline(name)}", fenced(_cut(text)), message.role), at)
            elif isinstance(part.get("text"), str):
                yield Row(message.id, "text", _bubble(message.role, tame(part["text"])), at)

    def _text(self, message: Said, text: str) -> Iterator[Row]:
        if self.running:
            for piece in pieces(text):
                yield Row(message.id, "text", _bubble(message.role, tame(piece)))
            return
        if self.schema is None or message.role != "assistant":
            yield Row(message.id, "text", _bubble(message.role, tame(text)))
            return
        pretty = _json(text)
        yield Row(message.id, "text", _bubble(message.role, tame(text) if pretty is None else fenced(pretty, "json")))
        if not message.tool_calls:
            said = verdict(text, self.schema, is_cut(message))
            yield Row(message.id, "note", _bubble("assistant", f"*{_plain(said)}*"))

    def _picture(self, message: Said, part: Mapping[str, Any], at: int) -> Row:
        path = self.pictures.path(message, at, part)
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


def _plain(text: str) -> str:
    """As Markdown in which nothing is a sign."""
    return tame(_SIGN.sub(r"\\\g<0>", text))


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
