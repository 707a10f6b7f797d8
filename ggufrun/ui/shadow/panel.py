"""Shadow answers, below the measured reports: looked at when they are seen, for those who may manage the server"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr
from markupsafe import Markup

from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError, shown
from ggufrun.ui.models.pieces import NOTHING, wrong
from ggufrun.ui.shadow.pairs import as_pair, as_pairs
from ggufrun.ui.shadow.summary import as_summary
from ggufrun.ui.shared import Shared

SHADOW: Final = "/ggufrun/v1/shadow"
_LISTED: Final = 20
_CLICKS: Final = "ggufrunModels(element, trigger, 'act', 'look')"
_SEEN: Final = f"{_CLICKS}; ggufrunSeen(element, trigger, 'shown', 'hidden')"
_QUIET: Final[dict[str, Any]] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "trigger_mode": "multiple",
    "concurrency_limit": None,
}
_DAMAGED: Final = "The server's answer is of another version of ggufrun."
Json = dict[str, Any]


@dataclass(slots=True)
class Looked:
    """What one browser tab looks at. It is changed in place, and never sent anywhere."""

    route: str | None = None  # None: those of all
    real: str | None = None
    shadow: str | None = None
    before: int | None = None  # None: the newest
    id: int = 0  # of the pair that is shown; 0: none


def shadow_panel(shared: Shared) -> None:
    """Nothing is looked at before it is seen."""
    looked = gr.State(Looked())
    with gr.Accordion("Shadow answers", open=False, elem_id="shadow"):
        summary = gr.HTML(elem_id="shadow-summary", js_on_load=_SEEN)
        only = gr.Checkbox(label="Only answers that differ", value=True, elem_id="shadow-only", visible=False)
        pairs = gr.HTML(elem_id="shadow-pairs", js_on_load=_CLICKS)
        pair = gr.HTML(elem_id="shadow-pair")
    _Panel(shared, looked, summary, only, pairs, pair).connect()


@dataclass(frozen=True, slots=True)
class _Panel:
    shared: Shared
    looked: gr.State
    summary: gr.HTML
    only: gr.Checkbox
    pairs: gr.HTML
    pair: gr.HTML

    def connect(self) -> None:
        inputs, outputs = [self.looked, self.only], [self.summary, self.only, self.pairs, self.pair]
        self.summary.shown(self.look, inputs, outputs, **_QUIET)
        self.only.input(self.filtered, inputs, outputs, **_QUIET)
        for part in (self.summary, self.pairs):
            part.act(self.act, inputs, outputs, **_QUIET)

    async def look(self, looked: Looked, only: bool, request: gr.Request) -> tuple[Any, ...]:
        api = self.shared.users.api(request)
        try:
            found = await api.get(SHADOW)
            listed = await _listed(api, looked, only) if found["data"] else NOTHING
            return as_summary(found), gr.update(visible=bool(found["data"])), listed, gr.skip()
        except ApiError as error:
            return wrong(str(error)), gr.update(visible=False), "", ""
        except (LookupError, TypeError, ValueError):
            return wrong(_DAMAGED), gr.update(visible=False), "", ""

    async def filtered(self, looked: Looked, only: bool, request: gr.Request) -> tuple[Any, ...]:
        looked.before = None
        return await self.look(looked, only, request)

    async def act(self, looked: Looked, only: bool, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        """What models.js sends with a click."""
        asked: Json = event._data if isinstance(event._data, dict) else {}
        api, act = self.shared.users.api(request), asked.get("act")
        pair: Any = gr.skip()
        try:
            if act == "pair":
                looked.id = _number(asked.get("id")) or 0
                pair = await asyncio.to_thread(as_pair, await api.get(f"{SHADOW}/pairs/{looked.id}"))
            elif act == "forget":
                await api.delete(SHADOW)
                looked.route = looked.real = looked.shadow = looked.before = None
                looked.id, pair = 0, ""
            elif act == "engines":
                looked.route, looked.real, looked.shadow = (_name(asked, name) for name in ("route", "real", "shadow"))
                looked.before = None
            elif act in ("older", "newest"):
                looked.before = _number(asked.get("before"))
        except ApiError as error:
            raise shown(error) from error
        return *(await self.look(looked, only, request))[:-1], pair


async def _listed(api: Api, looked: Looked, only: bool) -> Markup:
    chosen = {"route": looked.route, "real": looked.real, "shadow": looked.shadow, "before": looked.before}
    found = await api.get(f"{SHADOW}/pairs", limit=_LISTED, differing=True if only else None, **chosen)
    return as_pairs(found, looked.id, older=looked.before is not None)


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and value != "0" else None


def _name(asked: Json, name: str) -> str | None:
    return str(asked[name]) if asked.get(name) else None
