"""A chat as the server has it: a tree of messages, and the branch of it that is shown. Values only; no components."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import takewhile
from typing import Any

Json = dict[str, Any]
Content = str | Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Said:
    """One message, as /ggufrun/v1/chats has it."""

    id: str
    role: str
    parent: str | None = None
    content: Content = ""
    thinking: str = ""
    tool_calls: Sequence[Json] = ()
    tool_call_id: str | None = None
    name: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> "Said":
        return cls(**{name: message[name] for name in cls.__dataclass_fields__ if name in message})

    @property
    def state(self) -> str:
        """Of an answer: running, done, stopped, failed. "" of what was never a run."""
        return str(self.meta.get("state") or "")


@dataclass(frozen=True)
class Conversation:
    """`run`: the id of the answer that is under way, if one is."""

    id: str = ""
    messages: tuple[Said, ...] = ()
    head: str | None = None
    run: str | None = None
    model: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    updated: float = 0.0

    @classmethod
    def of(cls, chat: Mapping[str, Any]) -> "Conversation":
        given = {name: chat[name] for name in ("id", "head", "run", "model", "settings", "updated")}
        return cls(messages=tuple(map(Said.of, chat["messages"])), **given)

    @cached_property
    def branch(self) -> tuple[Said, ...]:
        """From the first message to the head."""
        return self._up_from(self.head)

    @property
    def last(self) -> Said | None:
        return self.branch[-1] if self.branch else None

    @property
    def answered_by(self) -> str:
        """The model of the chat, else of its last answer."""
        named = (str(each.meta.get("model") or "") for each in reversed(self.branch))
        return self.model or next(filter(None, named), "")

    def siblings(self, id: str) -> Sequence[Said]:
        """What stands in the same place of the tree, itself too, the oldest first."""
        message = self._by_id.get(id)
        return () if message is None else self._children[message.parent]

    def leaf(self, id: str) -> str:
        """Where the newest branch below a message ends: the message itself where nothing is below it."""
        for _ in self.messages:  # an import may bring a circle
            if not (below := self._children.get(id, ())):
                break
            id = below[-1].id
        return id

    def has(self, id: str) -> bool:
        return id in self._by_id

    def shows(self, head: str | None) -> "Conversation":
        return replace(self, head=head)

    def with_added(self, *messages: Said, run: str | None) -> "Conversation":
        """Those that are there already are replaced. The last is the head."""
        new = {each.id: each for each in messages}
        kept = tuple(each for each in self.messages if each.id not in new)
        return replace(self, messages=(*kept, *messages), head=messages[-1].id if messages else self.head, run=run)

    @property
    def pending(self) -> list[Json]:
        """The tool calls at the branch's end that have no result yet, each with where it stands: `chat`, `message`.

        `round`: how many answers have called tools since the last question, this one too.
        """
        results: set[str] = set()  # an import may bring ids of any kind
        for message in reversed(self.branch):
            if message.role != "tool":
                calls = message.tool_calls if message.role == "assistant" and message.state in ("", "done") else ()
                place = {"chat": self.id, "message": message.id, "round": self._round, "fresh": False}
                return [{**call, **place} for call in calls if str(call.get("id")) not in results]
            results.add(str(message.tool_call_id))
        return []

    @property
    def _round(self) -> int:
        since = takewhile(lambda message: message.role != "user", reversed(self.branch))
        return sum(bool(message.tool_calls) for message in since)

    def _up_from(self, id: str | None) -> tuple[Said, ...]:
        branch: list[Said] = []
        while id is not None and (message := self._by_id.get(id)) is not None and len(branch) <= len(self.messages):
            branch.append(message)
            id = message.parent
        return tuple(reversed(branch))

    @cached_property
    def _by_id(self) -> Mapping[str, Said]:
        return {message.id: message for message in self.messages}

    @cached_property
    def _children(self) -> Mapping[str | None, Sequence[Said]]:
        children: dict[str | None, list[Said]] = {}
        for message in self.messages:
            children.setdefault(message.parent, []).append(message)
        return children
