"""What is answered about chats: a chat, its messages, a run. Times in seconds since the epoch."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fastapi.responses import Response
from pydantic import BaseModel, Field

from ggufrun.records.chat_messages import ChatMessage
from ggufrun.records.chats import Chat


class MessageReply(BaseModel):
    id: str
    parent: str | None
    role: str
    content: str | list[dict[str, Any]]
    thinking: str
    tool_calls: list[dict[str, Any]]
    tool_call_id: str | None
    name: str | None
    created: float
    meta: dict[str, Any] = Field(
        description="Of an answer: `state` (running, done, stopped, failed), `run`, `model`, `finish_reason`, `usage`, "
        "`timings`, `thinking_ms`, `error`."
    )

    @classmethod
    def of(cls, message: ChatMessage) -> "MessageReply":
        return cls(**asdict(message))


class ChatSummary(BaseModel):
    id: str
    title: str
    model: str
    head: str | None = Field(description="The message whose branch is shown.")
    created: float
    updated: float
    run: str | None = Field(description="The answer that is under way.")

    @classmethod
    def of(cls, chat: Chat) -> "ChatSummary":
        return cls(**{name: getattr(chat, name) for name in cls.model_fields})


class ChatPage(BaseModel):
    data: list[ChatSummary]
    next: str | None = Field(description="The `cursor` of the next page.")


class ChatReply(ChatSummary):
    settings: dict[str, Any]
    messages: list[MessageReply] = Field(description="All branches, parents before children.")

    @classmethod
    def whole(cls, chat: Chat, messages: Sequence[ChatMessage]) -> "ChatReply":
        summary = ChatSummary.of(chat).model_dump()
        return cls(**summary, settings=dict(chat.settings), messages=[MessageReply.of(each) for each in messages])


class RunReply(BaseModel):
    id: str
    chat: str
    state: str
    added: list[MessageReply] = Field(description="What the run has added to the chat beside its answer.")
    message: MessageReply


class EndedRun(BaseModel):
    id: str
    state: str
    message: MessageReply | None = Field(description="null: it was stopped before the answer had begun.")


class Deleted(BaseModel):
    id: str
    deleted: bool = True


class PresetReply(BaseModel):
    name: str
    model: str
    settings: dict[str, Any]


class PresetList(BaseModel):
    data: list[PresetReply]


def ready(reply: BaseModel, status: int = 200) -> Response:
    """Written out already: for the thread that has built a large one, so that the event loop does not."""
    return Response(reply.model_dump_json(), status, media_type="application/json")
