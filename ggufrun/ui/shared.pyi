"""What several parts of the page read or write. One part changes a state; the others hear of it by its `change`.

They hear it only of events that are queued: Gradio's browser side leaves out what `queue=False` has changed.
"""

from dataclasses import dataclass, field
from time import time_ns
from typing import Any

import gradio as gr

from ggufrun.ui.tools.mcp import Mcp
from ggufrun.ui.users import Users

from gradio.events import Dependency

class ModelDropdown(gr.Dropdown):
    """What the browser has chosen, even if it is served no more: Gradio's own refuses that, and with it the event.

    The server that is asked says what is wrong with it.
    """

    is_template = True  # for Gradio's browser side it is a Dropdown

    def preprocess(self, payload: Any) -> str | None:
        return payload if isinstance(payload, str) and payload else None
    from typing import Callable, Literal, Sequence, Any, TYPE_CHECKING
    from gradio.blocks import Block

    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component

@dataclass(frozen=True, slots=True)
class Shared:
    """Each browser tab has its own values."""

    users: Users
    mcp: Mcp  # the MCP servers of this machine's user, for those who may use them
    chat: gr.State  # the id of the chat that is open; "": one that has not begun
    settings: gr.State  # how answers are asked for, as `settings` of /ggufrun/v1/chats has it. Written by the settings
    tools: gr.State  # the tools in it: a list as /v1/chat/completions takes it. Written by the tools and the settings
    apply: gr.State  # settings and model to be shown and used, of a chat that was opened or a preset: `Applied`
    model: ModelDropdown  # the name of a served model; None: none
    pending: gr.State  # the tool calls of the answer that the chat ends with, which nobody has answered: a list
    results: gr.State  # what they have resulted in, all of them: a list of `ToolResult`. The chat goes on with it
    over: gr.State  # `now()`: an answer was refused, because what is to be read is longer than the context
    chats_changed: gr.State  # `now()`: a chat has begun, got a title, is answered or gone
    models_changed: gr.State  # `now()`: what is served, or on this machine, has changed

    @classmethod
    def made(cls, users: Users, mcp: Mcp | None = None) -> "Shared":
        """Within the page's blocks. `model` is rendered by the part that has its place."""
        return cls(
            users=users,
            mcp=mcp or Mcp(),
            chat=gr.State(""),
            settings=gr.State({}),
            tools=gr.State([]),
            apply=gr.State(None),
            model=ModelDropdown([], label="Model", elem_id="model", render=False),
            pending=gr.State([]),
            results=gr.State([]),
            over=gr.State(0),
            chats_changed=gr.State(0),
            models_changed=gr.State(0),
        )

@dataclass(frozen=True, slots=True, eq=False)  # Gradio compares states by hash, and dictionaries have none
class Applied:
    """`at` makes each one new: who applies a preset twice means it."""

    settings: dict[str, Any]
    model: str = ""  # "": as it is
    at: int = field(default_factory=time_ns)

@dataclass(frozen=True, slots=True)
class ToolResult:
    call: str  # the id of the call
    name: str
    content: str

def now() -> int:
    """A value that a state has not had."""
    return time_ns()
