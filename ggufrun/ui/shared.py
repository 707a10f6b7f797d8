"""What several parts of the page read or write. One part changes a state; the others hear of it by its `change`.

They hear it only of events that are queued: Gradio's browser side leaves out what `queue=False` has changed.
"""

from dataclasses import dataclass, field
from time import time_ns
from typing import Any

import gradio as gr

from ggufrun.ui.settings.form import sampling_form, system_field
from ggufrun.ui.settings.tab_settings import TabSettings
from ggufrun.ui.tools.allowed import Allowed
from ggufrun.ui.tools.mcp import Mcp
from ggufrun.ui.users import Users


@dataclass(frozen=True, slots=True)
class Shared:
    """Each browser tab has its own values."""

    users: Users
    mcp: Mcp  # the MCP servers of this machine's user, for those who may use them
    chat: gr.State  # the id of the chat that is open; "": one that has not begun
    settings: gr.State  # `TabSettings`: how answers are asked for, as `settings` of /ggufrun/v1/chats has it.
    # What is left out is not in it: that is the chat's own, and another tab may have changed it
    settings_changed: gr.State  # `now()`: they have. Written by the settings
    system: gr.Textbox  # the system prompt; the settings have its place
    sampling: gr.HTML  # what stands in the fields of sampling, as the form has it; the settings have its place
    left_out: gr.State  # what the user has just left out or brought back: `LeftOut`. Written by `ask`
    tools: gr.State  # the tools in it: a list as /v1/chat/completions takes it. Written by the tools and the settings
    apply: gr.State  # settings and model to be shown and used, of a chat that was opened or a preset: `Applied`
    model: gr.Dropdown  # the name of a served model; None: none
    wanted: gr.State  # a model to be chosen, by name: `Wanted`. For the picker it is as if the user had chosen it there
    pending: gr.State  # the tool calls of the answer that the chat ends with, which nobody has answered: a list, as
    # `Conversation.pending` has it. `fresh`: this tab has asked for the answer, and read it along to its end
    allowed: gr.State  # `Allowed`: tools that run without being asked for, of this tab's chats. Written by the tools
    allowed_changed: gr.State  # `now()`: they have
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
            settings=gr.State(TabSettings()),
            settings_changed=gr.State(0),
            system=system_field(),
            sampling=sampling_form(),
            left_out=gr.State(None),
            tools=gr.State([]),
            apply=gr.State(None),
            model=model_dropdown("Model", elem_id="model", render=False),
            wanted=gr.State(None),
            pending=gr.State([]),
            allowed=gr.State(Allowed()),
            allowed_changed=gr.State(0),
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
    chat: str = ""  # whose they are; "": the user has chosen them
    at: int = field(default_factory=time_ns)


@dataclass(frozen=True, slots=True)
class Wanted:
    """`at` makes each one new, as `Applied` has it."""

    name: str
    at: int = field(default_factory=time_ns)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """All that the model does not read of a chat now. `at` makes each one new."""

    chat: str
    ids: tuple[str, ...]
    at: int = field(default_factory=time_ns)


@dataclass(frozen=True, slots=True, eq=False)  # what is sent again is new, or nobody would hear of it
class ToolResult:
    call: str  # the id of the call
    name: str
    content: str
    chat: str = ""  # the id of the chat that it belongs to
    message: str = ""  # and of the answer in it that has the call


def now() -> int:
    """A value that a state has not had."""
    return time_ns()


def model_dropdown(label: str, **more: Any) -> gr.Dropdown:
    """One that hands on what the browser has chosen, even if it is served no more: the server is asked, and says so.

    Gradio's own check would refuse the whole event. (No subclass: Gradio writes a .pyi file beside each.)
    """
    return gr.Dropdown([], value=None, label=label, allow_custom_value=True, **more)
