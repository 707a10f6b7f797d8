"""The chat: what was said, the answer that comes, and where one writes."""

from typing import Any, Final

import gradio as gr

from ggufrun.ui.ask.context import context_panel
from ggufrun.ui.chat.desk import Desk
from ggufrun.ui.chat.tab import Tab
from ggufrun.ui.chat.view import READY, View, no_model
from ggufrun.ui.errors import ApiError
from ggufrun.ui.shared import Shared
from ggufrun.ui.tools.calls import calls_panel

_MATH: Final = (("$$", "$$", True), ("\\[", "\\]", True), ("\\(", "\\)", False), ("$", "$", False))
_EXAMPLES: Final = (
    "Explain how a large language model answers a question, in five sentences.",
    "Write a Python function that finds the longest word in a text.",
    "What should I ask before I rent a flat?",
    "Give me three dinners from rice, eggs and spinach.",
)
# Gradio finds the names of a component's own events in this text.
_ON_LOAD: Final = "element.addEventListener('deed', (event) => trigger('click', event.detail))"
# What the page shows goes with what is done to it (`assets/seen.js`, `seen.py`).
_SEEN: Final = "(_, ...more) => [window.ggufrunView.now(), ...more]"
_SENT: Final = "(box, _, ...more) => [box, window.ggufrunView.now(), ...more]"
_EDITED: Final = "(_, ...more) => [window.ggufrunView.edited(), ...more]"
_LONGEST_PASTE: Final = 10_000_000  # what is longer would become a file, unasked


def chat_panel(shared: Shared, chats: gr.HTML) -> None:
    """`chats`: the list of them, which has one opened, or says that it is gone."""
    with gr.Column(elem_id="scroll"):
        said = _chatbot("said", placeholder=READY, editable="user", examples=[{"text": each} for each in _EXAMPLES])
        running = _chatbot("running")
        calls_panel(shared)
    meter = gr.HTML(elem_id="meter")
    ask = gr.MultimodalTextbox(
        {"text": "", "files": []},  # without it the browser side fails on None
        elem_id="ask",
        show_label=False,
        placeholder="Ask anything. Shift+Enter for a new line.",
        max_plain_text_length=_LONGEST_PASTE,
        max_lines=12,
        file_count="multiple",
        sources=["upload"],
        autofocus=True,
    )
    tab = gr.State(Tab())
    context_panel(shared, ask, tab)
    facts = gr.HTML(elem_id="facts", js_on_load=_ON_LOAD, apply_default_css=False)
    _listen(View(said, running, meter, facts, ask, gr.State(0), shared), tab, chats)


def _chatbot(elem_id: str, **more: Any) -> gr.Chatbot:
    # Consecutive rows are not put into one bubble: their numbers say whose they are.
    return gr.Chatbot(
        elem_id=elem_id,
        show_label=False,
        container=False,
        height=None,
        layout="bubble",
        autoscroll=False,
        buttons=["copy"],
        group_consecutive_messages=False,
        allow_tags=False,
        sanitize_html=True,
        latex_delimiters=[{"left": left, "right": right, "display": display} for left, right, display in _MATH],
        allow_file_downloads=False,
        **more,
    )


def _listen(view: View, tab: gr.State, chats: gr.HTML) -> None:
    shared, desk = view.shared, Desk(view)
    # As many at once as there are tabs: each answer is one. A second one of the same tab is told that there is one.
    answers: dict[str, Any] = {
        "outputs": view.outputs,
        "show_progress": "hidden",
        "api_visibility": "private",
        "concurrency_limit": None,
        "trigger_mode": "multiple",
    }
    # The script fills it in with each event; Gradio hands states on as they are on the server, and only there.
    seen = gr.JSON(visible=False)
    told_so: dict[str, Any] = {"js": _SEEN, **answers}
    asked = [seen, shared.model, shared.settings, tab, shared.system, shared.sampling]
    told: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}

    view.ask.submit(desk.send, [view.ask, *asked], **{**answers, "js": _SENT})
    view.said.example_select(desk.example, asked, **told_so)
    view.said.edit(desk.edit, asked, **{**answers, "js": _EDITED})
    view.said.retry(desk.again, asked, **told_so)
    view.facts.click(desk.deed, asked[1:], **answers)  # `seen` is in the event
    shared.results.change(desk.results, [shared.results, *asked[1:]], **answers)  # they name their chat
    chats.open(desk.opening.asked, tab, **answers)
    chats.gone(desk.opening.gone, tab, **answers)
    shared.settings_changed.change(desk.heard, [shared.settings, tab], None, **told)
    shared.left_out.change(desk.faded, [shared.left_out, tab], view.facts, **told)
    gr.on(None, desk.opening.loaded, [tab], **answers)
    comes = view.reads.change(desk.following.follow, tab, **{**answers, "outputs": [view.running, view.meter]})
    comes.then(desk.following.ended, tab, **answers)
    view.ask.stop(desk.stopping.stop, [seen, tab], None, js=_SEEN, **told)
    _say_what_is_missing(view)


def _say_what_is_missing(view: View) -> None:
    """What an empty chat says depends on whether there is a model."""
    shared = view.shared

    async def told(request: gr.Request) -> gr.Chatbot:
        try:
            models = (await shared.users.api(request).get("/v1/models"))["data"]
        except ApiError as error:
            return gr.Chatbot(placeholder=no_model(str(error)))
        return gr.Chatbot(placeholder=READY if models else no_model())

    more: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    gr.on(None, told, None, view.said, **more)
    gr.on([shared.model.change, shared.models_changed.change], told, None, view.said, **more)
