"""What the page's script knows of the chat (`assets/chat.js`): whose branches can be switched, and what can be done."""

import json
from collections.abc import Sequence
from typing import Any, Final

from markupsafe import Markup

from ggufrun.ui.ask.left_out import left_out_ids
from ggufrun.ui.chat.conversation import Conversation
from ggufrun.ui.chat.rows import Row
from ggufrun.ui.chat.tab import Taken

NOTHING: Final = Taken()
_FACTS = Markup('<i data-facts="{}"></i>')


def facts(conversation: Conversation, shown: Sequence[Row], *, opens: int = 0, taken: Taken = NOTHING) -> str:
    """As HTML. `rows`: at the last row of a message its place among its siblings, their number, and those beside it.

    `edits`: the rows that can be edited, and whose they are.

    `opens`, `taken`: as `Tab` has them.
    """
    branches: dict[int, list[Any]] = {}
    last_rows = {row.message: number for number, row in enumerate(shown)}
    for message, number in last_rows.items():
        siblings = [each.id for each in conversation.siblings(message)]
        if len(siblings) > 1 and message in siblings:
            at = siblings.index(message)
            branches[number] = [at + 1, len(siblings), siblings[at - 1], siblings[(at + 1) % len(siblings)]]
    known = {
        "chat": conversation.id,
        "run": conversation.run,
        "head": conversation.head,
        "edits": {at: row.message for at, row in enumerate(shown) if _can_be_edited(row)},
        "rows": branches,
        "faded": _faded(conversation, shown),
        "deeds": _deeds(conversation),
        "opens": opens,
        "taken": taken,
    }
    return _FACTS.format(json.dumps(known))


def _can_be_edited(row: Row) -> bool:
    return row.kind == "text" and row.bubble["role"] == "user"


def _faded(conversation: Conversation, shown: Sequence[Row]) -> list[int]:
    """The rows that the model does not read."""
    branch = [{"id": each.id, "role": each.role, "content": each.content} for each in conversation.branch]
    gone = left_out_ids(branch, conversation.settings)
    return [at for at, row in enumerate(shown) if not gone.isdisjoint((row.message, f"{row.message}#{row.part}"))]


def _deeds(conversation: Conversation) -> list[str]:
    """What can be done with the end of the branch; nothing while it is being answered."""
    last = conversation.last
    if last is None or conversation.run is not None:
        return []
    if last.role != "assistant":
        return ["again"]
    if last.state == "failed":
        return ["again"]
    is_cut = last.state == "stopped" or last.meta.get("finish_reason") in ("length", "model_length")
    return ["continue"] if is_cut and isinstance(last.content, str) and not last.tool_calls else []
