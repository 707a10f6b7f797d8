"""What a run is to answer: a branch of the chat as the messages of a request to /v1/chat/completions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from ggufrun.api.chats.bodies import NewMessage, RunBody
from ggufrun.api.chats.left_out import kept, left_out_in
from ggufrun.api.conversation.chat_stream import thinking_chunk
from ggufrun.api.conversation.wire import ChatCompletionBody
from ggufrun.errors import OutOfRange
from ggufrun.records.chat_messages import ChatMessage
from ggufrun.records.chats import Chat, ChatStore

_OURS: Final = ("model", "messages", "stream", "stream_options", "n", "tools")  # no settings of sampling


@dataclass(frozen=True, slots=True)
class Question:
    """`history` is what the model reads; `added` of it is new; `answer` is where its answer goes."""

    model: str
    settings: Mapping[str, Any]
    history: Sequence[ChatMessage]
    answer: ChatMessage
    added: Sequence[ChatMessage] = ()
    continued: bool = False

    def body(self) -> ChatCompletionBody:
        """The request as a client would write it. Raises what is wrong with it there."""
        wire = {**self._sampling(), "model": self.model, "messages": self._messages(), "stream": True}
        if (schema := self.settings.get("schema")) is not None:
            wire["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        if self.settings.get("tools"):
            wire["tools"] = self.settings["tools"]
        try:
            return ChatCompletionBody.model_validate(wire)
        except ValidationError as error:
            found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
            raise RequestValidationError(found, body=wire) from error

    def _sampling(self) -> dict[str, Any]:
        sampling = dict(self.settings.get("sampling") or {})
        for name in _OURS:
            if name in sampling:
                hint = "A run answers once and is streamed; the model and the tools have fields of their own."
                raise OutOfRange(f"{name} is no setting of sampling.", hint, f"settings.sampling.{name}")
        return sampling

    def _messages(self) -> list[dict[str, Any]]:
        system = self.settings.get("system")
        messages = [{"role": "system", "content": system}] if system else []
        messages += [_wire(each) for each in self.history if not _is_nothing(each)]
        if self.continued and not _is_nothing(self.history[-1]):
            messages[-1]["prefix"] = True
        return messages


def question_of(store: ChatStore, chat: Chat, body: RunBody) -> Question:
    """For a thread. Raises OutOfRange for what is no question of this chat."""
    if sum(each is not None for each in (body.message, body.parent, body.continued)) > 1:
        message = "A run has one of message, parent and continue."
        raise OutOfRange(message, "A message says itself where it stands: message.parent.", "message")
    settings = {**chat.settings, **(body.settings.written() if body.settings else {})}
    model = chat.model if body.model is None else body.model
    if body.continued is not None:
        return _continued(store, chat, body.continued, model, settings)
    if body.message is not None:
        parent = parent_of(store, chat, body.message, "message.")
        added = [body.message.message(parent)]
    else:
        parent = chat.head if body.parent is None else store.messages.get(chat.number, body.parent, "parent").id
        added = []
    history = [*store.messages.branch(chat.number, parent), *added]
    if not history or history[-1].role == "assistant":
        raise OutOfRange("There is nothing to answer.", "Give a message, or continue an answer.", "message")
    answer = ChatMessage("assistant", parent=history[-1].id)
    return Question(model, settings, kept(history, left_out_in(settings)), answer, added)


def parent_of(store: ChatStore, chat: Chat, message: NewMessage, at: str = "") -> str | None:
    """Where a new message stands. Raises OutOfRange for one that the chat does not have."""
    if message.sibling_of is not None:
        return store.messages.get(chat.number, message.sibling_of, f"{at}sibling_of").parent
    if message.parent is not None:
        return store.messages.get(chat.number, message.parent, f"{at}parent").id
    return chat.head


def _continued(store: ChatStore, chat: Chat, id: str, model: str, settings: Mapping[str, Any]) -> Question:
    answer = store.messages.get(chat.number, id, "continue")
    if answer.role != "assistant" or not isinstance(answer.content, str):
        raise OutOfRange("Only an answer can be gone on with.", "Give the id of one.", "continue")
    if store.messages.has_children(chat.number, id):
        hint = "Answer anew beside it: parent."
        raise OutOfRange("This answer has messages below it, which would follow from another one.", hint, "continue")
    if _is_nothing(answer):  # stopped while it was thinking, at the latest
        answer = replace(answer, thinking="")
    history = kept(store.messages.branch(chat.number, id), left_out_in(settings))
    return Question(model, settings, history, answer, continued=True)


def _is_nothing(message: ChatMessage) -> bool:
    """An answer that was stopped before there was any: no model expects to have said it."""
    return message.role == "assistant" and not message.content and not message.tool_calls


def _wire(message: ChatMessage) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.thinking:
        parts = [{"type": "text", "text": message.text}] if message.text else []
        wire["content"] = [thinking_chunk(message.thinking, closed=True), *parts]
    if message.tool_calls:
        wire["tool_calls"] = list(message.tool_calls)
    if message.role == "tool":
        wire |= {name: value for name in ("tool_call_id", "name") if (value := getattr(message, name)) is not None}
    return wire
