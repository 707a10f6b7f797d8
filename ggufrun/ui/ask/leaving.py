"""What may be left out of a chat, as a list to choose from: its oldest exchanges, and files in earlier questions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ggufrun.errors import cut
from ggufrun.ui.ask.files import clean, from_part
from ggufrun.ui.ask.left_out import Message, branch_of, exchanges, left_out_in

LONGEST: Final = 60  # characters of a question
MOST: Final = 100  # exchanges, as many as the server counts
Choice = tuple[str, str]  # what is shown, and the id


def choices(chat: Mapping[str, Any], counted: Sequence[Mapping[str, Any]]) -> list[Choice]:
    """The oldest first, as far as they are counted."""
    left_out = left_out_in(chat.get("settings"))
    by_id = {exchange.id: exchange.messages for exchange in exchanges(branch_of(chat))}
    found: list[Choice] = []
    for each in counted:
        if (messages := by_id.get(each["id"])) is not None:
            found.append(
                (_said(f"{_question(messages[0])}{_more(messages)}", each["tokens"], each["left_out"]), each["id"])
            )
            if not each["left_out"]:
                found += _files(messages[0], each["parts"], left_out)
    return found


def _files(message: Message, tokens: Sequence[int | None], left_out: frozenset[str]) -> Iterator[Choice]:
    """Those beside something else: the last one goes as the whole exchange does."""
    content = message["content"]
    if isinstance(content, str) or len(content) < 2:
        return
    for at, part in enumerate(content):
        id = f"{message['id']}#{at}"
        name = "an image" if part.get("type") == "image_url" else next(iter(from_part(part) or ()), None)
        if name is not None:
            text = f"{name}, beside {_question(message)}"
            yield _said(text, tokens[at] if at < len(tokens) else None, id in left_out), id


def _said(what: str, tokens: int | None, left_out: bool) -> str:
    much = "" if tokens is None else f" · {tokens:,} tokens"
    return f"{'Left out: ' if left_out else ''}{what}{much}"


def _question(message: Message) -> str:
    content = message["content"]
    parts = [{"text": content}] if isinstance(content, str) else content
    texts = [str(part.get("text") or "") for part in parts if from_part(part) is None]
    said = " ".join(" ".join(texts).split())
    if not said:
        said = next((found[0] for part in parts if (found := from_part(part)) is not None), "an image")
    return f"“{clean(cut(said, LONGEST))}”"


def _more(messages: Sequence[Message]) -> str:
    roles = {message["role"] for message in messages[1:]}
    if "tool" in roles:
        return ", its tool calls and answer"
    return " and its answer" if "assistant" in roles else ""


def uncounted(chat: Mapping[str, Any]) -> list[dict[str, Any]]:
    """As the server would count them, where it cannot: the oldest first."""
    left_out = left_out_in(chat.get("settings"))
    oldest = exchanges(branch_of(chat))[:MOST]
    return [{"id": each.id, "tokens": None, "left_out": each.is_left_out(left_out), "parts": ()} for each in oldest]
