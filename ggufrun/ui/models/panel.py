"""The Models tab: models on this machine and on the hub, what fits, and fetching it."""

from collections.abc import AsyncIterator
from typing import Any, Final

import gradio as gr

from ggufrun.ui.errors import ApiError, shown
from ggufrun.ui.models.acting import CHANGING, done
from ggufrun.ui.models.forms import KNOBS, SEEK
from ggufrun.ui.models.looking import looked
from ggufrun.ui.models.visit import Visit
from ggufrun.ui.models.watching import Watcher
from ggufrun.ui.shared import Shared, Wanted, now

_CLICKS: Final = "ggufrunModels(element, trigger, 'act', 'look')"
_SEEN: Final = f"{_CLICKS}; ggufrunSeen(element, trigger, 'shown', 'hidden')"
_QUIET: Final[dict[str, Any]] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "trigger_mode": "multiple",  # a second click is not lost while the first is worked on
    "concurrency_limit": None,
}


def models_tab(shared: Shared) -> None:
    """Within its tab. Nothing is looked at before it is seen, and nothing asked of the hub before the user asks."""
    visit = gr.State(Visit())
    refused = gr.HTML(elem_id="norights", js_on_load=_SEEN)
    with gr.Column(elem_id="library") as room:
        shelf = gr.HTML(elem_id="shelf", js_on_load=_CLICKS)
        jobs = gr.HTML(elem_id="jobs", js_on_load=_CLICKS)
        seek = gr.HTML(SEEK, elem_id="seek", js_on_load=_CLICKS)
        found = gr.HTML(elem_id="found", js_on_load=_CLICKS)
        quants = gr.HTML(elem_id="quants", js_on_load=_CLICKS)
        knobs = gr.HTML(KNOBS, elem_id="knobs", js_on_load=_CLICKS)
        plan = gr.HTML(elem_id="plan", js_on_load=_CLICKS)

    async def watched(mine: Visit, request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
        async for view in Watcher(shared.users.api(request), mine).views():
            may = gr.skip() if view.room is None else gr.Column(visible=view.room)
            pieces = (view.shelf, view.jobs, view.cards, view.quants, view.refused)
            yield *map(_or_as_it_was, pieces), may, now() if view.changed else gr.skip()

    async def left(mine: Visit) -> None:
        mine.watches += 1
        mine.wake.set()

    async def act(mine: Visit, event: gr.EventData, request: gr.Request) -> tuple[Any, Any]:
        api, asked = shared.users.api(request), _told(event)
        try:
            name = await done(asked, mine, api)
        except ApiError as error:
            raise shown(error) from error
        return Wanted(name) if name else gr.skip(), now() if asked.get("act") in CHANGING else gr.skip()

    async def look(mine: Visit, event: gr.EventData, request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
        try:
            async for seen in looked(_told(event), mine, shared.users.api(request)):
                yield tuple(map(_or_as_it_was, (seen.found, seen.quants, seen.plan)))
        except ApiError as error:
            raise shown(error) from error

    refused.shown(watched, visit, [shelf, jobs, found, quants, refused, room, shared.models_changed], **_QUIET)
    refused.hidden(left, visit, None, queue=False, **_QUIET)
    for part in (shelf, jobs, quants):
        part.act(act, visit, [shared.wanted, shared.models_changed], **_QUIET)
    for part in (shelf, seek, found, quants, knobs):
        part.look(look, visit, [found, quants, plan], **_QUIET)


def _or_as_it_was(piece: str | None) -> Any:
    return gr.skip() if piece is None else piece


def _told(event: gr.EventData) -> dict[str, Any]:
    """What models.js sends with a click."""
    return event._data if isinstance(event._data, dict) else {}
