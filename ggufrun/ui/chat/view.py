"""The components of the chat, and what changes in them when the chat does."""

from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from ggufrun.ui.chat import meter
from ggufrun.ui.chat.facts import facts
from ggufrun.ui.chat.live import Live
from ggufrun.ui.chat.markup import tame
from ggufrun.ui.chat.rows import bubbles, rows
from ggufrun.ui.chat.tab import Tab
from ggufrun.ui.shared import Applied, Shared, now

Changes = dict[Any, Any]
READY: Final = "**What shall we talk about?**\n\nAll of it stays on this machine."


def no_model(why: str = "No model is served.") -> str:
    return f"**{tame(why)}**\n\nChoose one at the right, or fetch one in the Models tab."


@dataclass(frozen=True, slots=True)
class View:
    """`running` has nothing but the answer that comes, so that it costs the same however long the chat is."""

    said: gr.Chatbot
    running: gr.Chatbot
    meter: gr.HTML
    facts: gr.HTML
    ask: gr.MultimodalTextbox
    sent: gr.State  # `now()`: what stood in the box was taken
    shared: Shared

    @property
    def outputs(self) -> list[Any]:
        shared = self.shared
        states = [shared.chat, shared.apply, shared.pending, shared.over, shared.chats_changed]
        return [self.said, self.running, self.meter, self.facts, self.ask, self.sent, *states]

    def whole(self, tab: Tab) -> Changes:
        """All that was said."""
        return {
            self.said: bubbles(tab.shown),
            self.facts: facts(tab.conversation, tab.shown),
            self.shared.pending: [] if tab.conversation.run else tab.conversation.pending,
        }

    def opened(self, tab: Tab) -> Changes:
        """Another chat than before: its settings are to be used."""
        chat = tab.conversation
        applied = {self.shared.apply: Applied(dict(chat.settings), chat.answered_by)} if chat.id else {}
        return {**self.whole(tab), **self.idle(tab), **applied}

    def waits(self) -> Changes:
        """An answer was asked for, and nothing of it is there."""
        bubble = {"role": "assistant", "content": [{"type": "text", "text": "…"}]}
        return {self.running: [bubble], self.meter: meter.waiting(), self.ask: _buttons(runs=True)}

    def comes(self, live: Live) -> Changes:
        return {
            self.running: bubbles(rows([live.so_far()], running=True)),
            self.meter: meter.running(live.progress),
        }

    def idle(self, tab: Tab) -> Changes:
        """No answer comes."""
        return {self.running: [], self.meter: meter.finished(tab.conversation), self.ask: _buttons(runs=False)}

    def settled(self, tab: Tab) -> Changes:
        """The end of an event, whatever has become of the tab meanwhile."""
        return {self.ask: _buttons(runs=True)} if tab.is_busy else self.idle(tab)

    def taken(self) -> Changes:
        """What was written is with the server now, so that the box is emptied."""
        return {self.sent: now()}

    def changed(self) -> Changes:
        """The list of chats is to look again."""
        return {self.shared.chats_changed: now()}


def _buttons(*, runs: bool) -> gr.MultimodalTextbox:
    return gr.MultimodalTextbox(submit_btn=not runs, stop_btn=runs)
