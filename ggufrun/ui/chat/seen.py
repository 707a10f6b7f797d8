"""What the browser showed when the user did something: the page's script tells it with each event (`assets/seen.js`).

By then the tab may have turned to something else. An event acts on what was seen, or on nothing.
"""

from dataclasses import dataclass
from typing import Any

from ggufrun.ui.chat.tab import Tab


@dataclass(frozen=True, slots=True)
class Seen:
    """`chat`: "" of one that has not begun. `opens`: as the tab had it. `head`: the end of the branch.

    `run`: the answer that was under way, "" where none was known. `message`: the one that was edited.
    """

    chat: str = ""
    opens: int = -1
    head: str = ""
    run: str = ""
    message: str = ""

    @classmethod
    def of(cls, told: Any) -> "Seen":
        """From whatever a browser sends."""
        told = told if isinstance(told, dict) else {}
        words = {name: str(told.get(name) or "") for name in ("chat", "head", "run", "message")}
        opens = told.get("opens")
        return cls(opens=opens if isinstance(opens, int) else -1, **words)

    def is_of(self, tab: Tab) -> bool:
        """Whether the tab has that chat open, or one that has begun since in the same place."""
        chat = tab.conversation.id
        return self.chat == chat or (not self.chat and self.opens == tab.opens)

    def is_end_of(self, tab: Tab) -> bool:
        return self.head == (tab.conversation.head or "")
