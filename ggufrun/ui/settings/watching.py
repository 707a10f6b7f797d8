"""Looking at one model while it changes. Each tab of a browser looks at one at most. No widgets."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from markupsafe import Markup

from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError
from ggufrun.ui.settings.catalog import Json, card_of, state_of
from ggufrun.ui.settings.known import Known
from ggufrun.ui.settings.model_state import MOVING, state_html
from ggufrun.ui.settings.sampling import Texts, efforts_of, hints_of

PAUSE_S: Final = 0.3


@dataclass(frozen=True, slots=True)
class View:
    """`hints` and `efforts` come with a look's first view, and do not change in it."""

    html: Markup
    loads: bool = False  # whether it can be loaded
    unloads: bool = False
    hints: Texts | None = None
    efforts: Sequence[str] = ()


@dataclass(slots=True)
class Watch:
    _known: Known = field(default_factory=Known)
    _looks: dict[str, object] = field(default_factory=dict)  # the last one of each tab

    def watches(self, tab: str) -> bool:
        return tab in self._looks

    async def views(self, api: Api, name: str | None, tab: str) -> AsyncIterator[View]:
        """A view whenever it looks different, until it stays as it is, or the tab looks at another."""
        look = self._looks[tab] = object()
        try:
            async for view in self._views(api, name, lambda: self._looks.get(tab) is look):
                yield view
        except ApiError as error:
            yield View(Markup('<p class="bad" role="alert">{}</p>').format(error))
        finally:
            if self._looks.get(tab) is look:
                del self._looks[tab]

    async def _views(self, api: Api, name: str | None, wanted: Callable[[], bool]) -> AsyncIterator[View]:
        if not name:
            yield View(Markup("<p>No model is chosen.</p>"))
            return
        model, state = await asyncio.gather(card_of(api, name), state_of(api, name))
        card = await self._known.card(api, model) if state else None
        yield _view(state, model, hints=hints_of(model), efforts=efforts_of(card))
        while state and state["state"] in MOVING:
            await asyncio.sleep(PAUSE_S)
            if not wanted():
                return
            before, state = state, await state_of(api, name)
            if state != before:
                yield _view(state, model)
        fit = await self._known.fit(api, state.get("path", "")) if state else ""
        if fit and wanted():
            yield _view(state, model, fit)


def _view(
    state: Json | None, model: Json, fit: str = "", *, hints: Texts | None = None, efforts: Sequence[str] = ()
) -> View:
    word = state["state"] if state else ""
    return View(
        html=state_html(state, model, fit),
        loads=word in ("unloaded", "failed"),
        unloads=word in ("ready", "loading", "waiting"),
        hints=hints,
        efforts=efforts,
    )
