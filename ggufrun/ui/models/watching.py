"""Looks at what changes by itself while the tab is seen: models, pulls, checks. It says what is to be shown anew."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from markupsafe import Markup

from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError
from ggufrun.ui.models.found import as_cards
from ggufrun.ui.models.jobs import OVER, as_jobs, is_check, listed, subject
from ggufrun.ui.models.pace import Pace
from ggufrun.ui.models.quants import as_quants, spec_of
from ggufrun.ui.models.rows import rows
from ggufrun.ui.models.shelf import as_shelf
from ggufrun.ui.models.visit import Visit

Json = dict[str, Any]

LIBRARY: Final = "/ggufrun/v1/library"
_BUSY_S: Final = 0.4  # between looks, while something goes on
_IDLE_S: Final = 4.0
_AGAIN_S: Final = 12.0  # after so long the disks are looked at again: other programs tell nobody what they put there
_MOVING: Final = ("waiting", "loading", "unloading")


@dataclass(frozen=True, slots=True)
class View:
    """What is to be shown; None: as it was. `changed`: other parts of the page are to hear of it."""

    shelf: Markup | None = None
    jobs: Markup | None = None
    cards: Markup | None = None
    quants: Markup | None = None
    refused: Markup | None = None  # why this cannot be had; "": it can
    room: bool | None = None  # whether all of it is shown at all
    changed: bool = False

    def __bool__(self) -> bool:
        return self != View()


class Watcher:
    def __init__(self, api: Api, visit: Visit) -> None:
        self._api, self._visit, self._pace = api, visit, Pace()
        self._local: list[Json] = []
        self._served: list[Json] = []
        self._jobs: list[Json] = []
        self._machine: Json | None = None
        self._measuring: asyncio.Task[None] | None = None
        self._last = View()
        self._begun, self._changed = False, False
        self._listed = 0.0  # when the disks were looked at

    async def views(self) -> AsyncIterator[View]:
        """Until another one watches for this browser tab, or `visit.watches` is counted on."""
        visit = self._visit
        visit.watches += 1
        mine, woken = visit.watches, True
        try:
            while visit.watches == mine:
                visit.wake.clear()
                view = await self._view(woken)
                if view and visit.watches == mine:
                    yield view
                woken = await self._rest()
        finally:
            if self._measuring is not None:
                self._measuring.cancel()

    async def _rest(self) -> bool:
        """Whether it was woken: something was done here."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._visit.wake.wait(), _BUSY_S if self._busy() else _IDLE_S)
            return True
        return False

    def _busy(self) -> bool:
        return any(job["state"] not in OVER for job in self._jobs) or any(
            model["state"] in _MOVING for model in self._served
        )

    async def _view(self, woken: bool) -> View:
        try:
            self._changed |= await self._look(woken)
            fresh = (self._changed or not self._begun) and not self._visit.searches
            cards = await self._cards() if fresh else self._last.cards
        except ApiError as error:
            refused = _refusal(error, self._begun)
            return self._news(replace(self._last, refused=refused, room=self._begun), False)
        pulls = [job for job in self._jobs if not is_check(job) and job["state"] not in OVER]
        shown = listed(self._jobs, [], datetime.now(UTC))
        speeds = {job["id"]: speed for job in shown if (speed := self._pace.speed(job["id"])) is not None}
        first, self._begun = not self._begun, True
        changed, self._changed = self._changed, False
        here = rows(self._local, self._served)
        view = View(
            shelf=as_shelf(here, self._machine, [subject(job) for job in pulls]),
            jobs=as_jobs(shown, speeds, here),
            cards=cards,
            quants=self._quants() if changed else self._last.quants,
            refused=Markup(""),
            room=True,
        )
        return self._news(view, changed and not first)

    def _news(self, view: View, changed: bool) -> View:
        """What of it differs from the last one."""
        last, self._last = self._last, view
        names = ("shelf", "jobs", "cards", "quants", "refused", "room")
        new = {name: now for name in names if (now := getattr(view, name)) != getattr(last, name)}
        return View(**new, changed=changed)

    async def _look(self, woken: bool) -> bool:
        """Whether what is served, or here, has changed."""
        get = self._api.get
        served, pulls, checks = await asyncio.gather(
            get("/ggufrun/v1/models"), get(f"{LIBRARY}/pulls"), get(f"{LIBRARY}/verify")
        )
        over = {job["id"] for job in self._jobs if job["state"] in OVER}
        jobs = [*pulls["data"], *checks["data"]]
        ended = any(job["id"] not in over and job["state"] in OVER for job in jobs)  # also one never seen before
        due = woken or ended or not self._begun or time.monotonic() >= self._listed + _AGAIN_S
        local = (await get(f"{LIBRARY}/local"))["data"] if due else self._local
        self._jobs = jobs
        self._pace.add(time.monotonic(), {job["id"]: job["done"] for job in self._jobs if job["state"] == "running"})
        before = _names(self._local, self._served)
        self._local, self._served = local, served["data"]
        if due:
            self._listed = time.monotonic()
            self._measure()
        return _names(self._local, self._served) != before

    def _measure(self) -> None:
        """Beside the rest: it takes a second."""
        if self._measuring is None or self._measuring.done():
            self._measuring = asyncio.create_task(self._measured())

    async def _measured(self) -> None:
        with suppress(ApiError):  # the table does without
            machine = await self._api.get(f"{LIBRARY}/machine")
            if machine != self._machine:
                self._machine = machine

    async def _cards(self) -> Markup | None:
        return as_cards((await self._api.get(f"{LIBRARY}/cards"))["data"])

    def _quants(self) -> Markup | None:
        """Those that are shown, if one of them has come or gone."""
        shown = self._visit.shown
        if shown is None:
            return None
        here = {model["name"] for model in self._local if model["partial"] is None}
        quants = [{**quant, "here": spec_of(shown, quant["name"]) in here} for quant in shown["quants"]]
        if quants == shown["quants"]:
            return self._last.quants
        self._visit.shown = shown = {**shown, "quants": quants}
        return as_quants(shown, self._visit.planned.rpartition(":")[2])


def _names(local: list[Json], served: list[Json]) -> object:
    here = [(model["name"], model["bytes"], model["partial"] is None) for model in local]
    return here, [(model["name"], model["state"], model.get("path")) for model in served]


def _refusal(error: ApiError, begun: bool) -> Markup:
    """Who may not manage sees this instead of the tab; where the server is only silent, it is above the tab."""
    if error.status in (401, 403):
        return Markup("<p>Models are managed with an admin key, and this browser has none. {}</p>").format(error)
    if error.status in (400, 404) and not begun:
        return Markup("<p>Models cannot be managed here. {}</p>").format(error)
    return Markup('<p class="wrong" role="alert">{}</p>').format(error)
