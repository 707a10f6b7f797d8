"""The components of the chat, and what changes in them when the chat does."""

from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from ggufrun.ui.chat import meter
from ggufrun.ui.chat.conversation import Conversation
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
    reads: gr.State  # `now()`: an answer is to be read along
    shared: Shared

    @property
    def outputs(self) -> list[Any]:
        shared = self.shared
        states = [shared.chat, shared.apply, shared.pending, shared.over, shared.chats_changed]
        return [self.said, self.running, self.meter, self.facts, self.ask, self.reads, *states]

    def whole(self, tab: Tab, other: Conversation | None = None) -> Changes:
        """All that was said; or as if the chat were `other`."""
        chat, shown = (tab.conversation, tab.shown) if other is None else (other, tab.rows_of(other))
        return {
            self.said: bubbles(shown),
            self.facts: facts(chat, shown, opens=tab.opens, taken=tab.taken),
            self.shared.pending: [] if chat.run else chat.pending,
        }

    def known(self, tab: Tab) -> Changes:
        """What the page's script is to know."""
        return {self.facts: facts(tab.conversation, tab.shown, opens=tab.opens, taken=tab.taken)}

    def opened(self, tab: Tab) -> Changes:
        """Another chat than before: its settings are to be used."""
        return {**self.whole(tab), **self.idle(tab), **(self.applied(tab) if tab.conversation.id else {})}

    def applied(self, tab: Tab) -> Changes:
        """Until the page's fields have them, the chat's own hold."""
        tab.applying, chat = True, tab.conversation
        return {self.shared.apply: Applied(dict(chat.settings), chat.answered_by, chat.id)}

    def reads_along(self, tab: Tab) -> Changes:
        """Where the tab has an answer to read: another event does that, which costs less than all of this."""
        has = tab.reading is not None and tab.reading.live is not None
        return {**self.waits(), self.reads: now()} if has else {}

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

    def changed(self) -> Changes:
        """The list of chats is to look again."""
        return {self.shared.chats_changed: now()}


def _buttons(*, runs: bool) -> gr.MultimodalTextbox:
    return gr.MultimodalTextbox(submit_btn=not runs, stop_btn=runs)
