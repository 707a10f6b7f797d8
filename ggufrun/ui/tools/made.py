"""What was made of what a user chose, on its way: `chat` is the one that the browser showed. Another may be open."""

from dataclasses import dataclass

from ggufrun.ui.tools.written import Tool


@dataclass(frozen=True, slots=True, eq=False)  # Gradio compares states by hash, and each of these is new
class Linked:
    """The servers that are chosen, and are connected by now."""

    chosen: list[str]
    chat: str


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """All tools, and those of them that are written."""

    tools: list[Tool]
    hand: list[Tool]
    chat: str
