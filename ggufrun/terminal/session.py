"""The state of one terminal chat: the conversation and how the next answer is asked for. No terminal here."""

import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path

from ggufrun.chat.types import AnswerSettings, ChatOptions, ChatRequest, Constraint, ImageChunk, Message
from ggufrun.errors import OptionError
from ggufrun.terminal.answer import Answer
from ggufrun.terminal.images import images_of, text_of, user_message


@dataclass(slots=True)
class Session:
    """`messages` holds whole turns only: a user's message, then the answer to it."""

    model: str
    options: ChatOptions = field(default_factory=ChatOptions)
    system: str | None = None  # None: the model's default; "": none
    constraint: Constraint | None = None
    messages: list[Message] = field(default_factory=list)
    images: list[ImageChunk] = field(default_factory=list)  # that go with the next message
    sees: bool = True  # the model
    file: Path | None = None  # where the conversation was saved to or loaded from
    defaults: AnswerSettings = field(default_factory=AnswerSettings)  # the model's
    first_system: str | None = field(init=False)  # the command line's, as `system`

    def __post_init__(self) -> None:
        self.first_system = self.system

    @property
    def system_prompt(self) -> str:
        """The system prompt that holds, "" for none."""
        return self.defaults.system if self.system is None else self.system

    def ask(self, text: str) -> ChatRequest:
        """The request for a new turn. The conversation stays as it is until `keep`."""
        return self._request((*self.messages, user_message(text, self.images)), self.options)

    def ask_again(self) -> ChatRequest:
        """The request for another answer to the last turn, with a new seed. Raises `OptionError` if there is none."""
        if not self.messages:
            raise OptionError("There is no answer to retry yet.", "Write a message first.")
        return self._request(tuple(self.messages[:-1]), replace(self.options, seed=secrets.randbelow(1 << 31)))

    def keep(self, request: ChatRequest, answer: Answer) -> None:
        """Make the request and what came of its answer the conversation."""
        reply = Message(role="assistant", content=answer.text, reasoning_content=answer.thinking or None)
        turns = [message for message in request.messages if message.role != "system"]
        self.messages = [*turns, reply]
        sent = images_of(turns[-1])
        self.images = [image for image in self.images if all(image is not each for each in sent)]

    def last_text(self) -> str:
        """The last user message, as it was typed."""
        return text_of(self.messages[-2]) if len(self.messages) > 1 else ""

    def _request(self, turns: tuple[Message, ...], options: ChatOptions) -> ChatRequest:
        head = (Message(role="system", content=self.system),) if self.system else ()
        default = self.system is None
        return ChatRequest((*head, *turns), options, constraint=self.constraint, default_system=default)
