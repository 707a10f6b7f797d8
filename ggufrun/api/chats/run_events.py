"""The events of one run, numbered from 1 and kept until it ends, and their stream for one of any number of readers.

A reader that is behind, or comes late, gets pieces that follow each other as one.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from ggufrun.api.chats.replies import MessageReply
from ggufrun.chat.types import ChatEvent, PromptProcessed, Started, TextDelta, ThinkingDelta, ToolCallDelta
from ggufrun.records.chat_messages import ChatMessage

Piece = dict[str, Any]
_ADDS: Final = {"text": "text", "thinking": "text", "tool_call": "arguments"}  # the field that adds up


class RunEvents:
    """`start` has the message as it was, the pieces are to be added to it, and `end` has what it has become."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._ended = False

    def start(self, message: ChatMessage) -> None:
        self._put({"type": "start", "message": MessageReply.of(message).model_dump()})

    def add(self, event: ChatEvent, tokens: int = 0, ms: int = 0) -> None:
        """`tokens`: of the answer so far, in `ms` since its first."""
        if (piece := _piece(event)) is not None:
            self._put(piece | {"tokens": tokens, "ms": ms} if piece["type"] in _ADDS else piece)

    def end(self, message: ChatMessage) -> None:
        if not self._ended:
            self._ended = True
            self._put(ending(message))

    def close(self) -> None:
        """There was no answer, and readers are told no more."""
        self._ended = True
        self._wake()

    async def lines(self, after: int = 0) -> AsyncGenerator[str, None]:
        """Server-sent events behind the one of that number: what there is, and then what comes, to the end."""
        after = min(after, len(self._pieces))
        while True:
            for number, piece in _merged(self._pieces, after):
                after = number
                yield line(piece, number)
            if self._ended and after >= len(self._pieces):
                return
            if after >= len(self._pieces):
                changed = asyncio.get_running_loop().create_future()
                self._waiting.append(changed)
                await changed

    def _put(self, piece: Piece) -> None:
        self._pieces.append(piece)
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.done():
                each.set_result(None)


def ending(message: ChatMessage) -> Piece:
    """The last piece of a run: all that the message is."""
    return {"type": "end", "state": message.meta.get("state"), "message": MessageReply.of(message).model_dump()}


def line(piece: Mapping[str, Any], number: int) -> str:
    """As the stream has it, without the blank line behind."""
    return f"id: {number}\nevent: {piece['type']}\ndata: {json.dumps(piece, ensure_ascii=False)}"


def _piece(event: ChatEvent) -> Piece | None:
    match event:
        case TextDelta():
            return {"type": "text", "text": event.text}
        case ThinkingDelta():
            return {"type": "thinking", "text": event.text, "closed": event.closed}
        case ToolCallDelta():
            shown = {"index": event.index, "id": event.id, "name": event.name, "arguments": event.arguments}
            return {"type": "tool_call", **shown}
        case Started():
            return {"type": "progress", "done": 0, "total": event.prompt_tokens, "cached": 0}
        case PromptProcessed():
            return {"type": "progress", **asdict(event)}
    return None


def _merged(pieces: Sequence[Piece], after: int) -> Iterator[tuple[int, Piece]]:
    """Those behind `after`, each with the number of the last that is in it."""
    end = len(pieces)  # what comes meanwhile is for the next time
    at = after
    while at < end:
        piece = dict(pieces[at])
        at += 1
        adds, texts = _ADDS.get(piece["type"]), []
        while at < end and _goes_on(piece, pieces[at]):
            piece |= {name: pieces[at].get(name) for name in ("closed", "tokens", "ms")}
            texts.append(pieces[at][adds] if adds else "")
            at += 1
        if adds and texts:
            piece[adds] = "".join((piece[adds], *texts))
        if piece["type"] != "thinking":
            piece.pop("closed", None)
        yield at, piece


def _goes_on(piece: Piece, following: Piece) -> bool:
    same = piece["type"] == following["type"] and piece["type"] in _ADDS
    return same and piece.get("index") == following.get("index") and not piece.get("closed")
