"""What several parts of the page read or write. One part changes a state; the others hear of it by its `change`."""

from dataclasses import dataclass
from time import time_ns

import gradio as gr

from ggufrun.ui.users import Users


@dataclass(frozen=True, slots=True)
class Shared:
    """Each browser tab has its own values."""

    users: Users
    chat: gr.State  # the id of the chat that is open; "": one that has not begun
    settings: gr.State  # how answers are asked for, as `settings` of /ggufrun/v1/chats has it
    model: gr.Dropdown  # the name of a served model; "": none
    chats_changed: gr.State  # a chat has begun, got a title, or is answered: `now()`
    models_changed: gr.State  # what is served, or on this machine, has changed: `now()`

    @classmethod
    def made(cls, users: Users) -> "Shared":
        """Within the page's blocks. `model` is rendered by the part that has its place."""
        return cls(
            users=users,
            chat=gr.State(""),
            settings=gr.State({}),
            model=gr.Dropdown([], label="Model", elem_id="model", filterable=True, render=False),
            chats_changed=gr.State(0),
            models_changed=gr.State(0),
        )


def now() -> int:
    """A value that a state has not had."""
    return time_ns()
