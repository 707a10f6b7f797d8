"""Looks at comparisons and reports while they are seen, and says what is to be shown anew. Knows no Gradio"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote

from markupsafe import Markup

from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError
from ggufrun.ui.measured.report import PICTURES, as_report
from ggufrun.ui.measured.runs import OVER, as_reports, as_runs
from ggufrun.ui.models.pieces import wrong

Json = dict[str, Any]
COMPARE: Final = "/ggufrun/v1/compare"
_DAMAGED: Final = "This report is damaged, or of another version of ggufrun. “Open” may show it."
_BUSY_S: Final = 0.5  # between looks, while something is measured
_IDLE_S: Final = 5.0


@dataclass(slots=True)
class Visit:
    """What is remembered of one browser tab. It is changed in place, and never sent anywhere."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)  # something has changed: look now
    watches: int = 0  # the latest one counts
    awaited: str = ""  # the run that was begun here: its report is shown when it is there
    shown: str = ""  # the id of the report that is looked at


@dataclass(frozen=True, slots=True)
class View:
    """What is to be shown; None: as it was."""

    runs: Markup | None = None
    reports: Markup | None = None
    report: Markup | None = None

    def __bool__(self) -> bool:
        return self != View()


class Watcher:
    def __init__(self, api: Api, visit: Visit) -> None:
        self._api, self._visit = api, visit
        self._last, self._busy = View(), False

    async def views(self) -> AsyncIterator[View]:
        """Until another one watches for this browser tab, or `visit.watches` is counted on."""
        visit = self._visit
        visit.watches += 1
        mine = visit.watches
        while visit.watches == mine:
            visit.wake.clear()
            view = self._news(await self._view())
            if view and visit.watches == mine:
                yield view
            with suppress(TimeoutError):
                await asyncio.wait_for(visit.wake.wait(), _BUSY_S if self._busy else _IDLE_S)

    async def _view(self) -> View:
        try:
            found = await self._api.get(COMPARE)
            report = await self._awaited(found["runs"])
        except ApiError as error:
            return replace(self._last, runs=wrong(str(error)))
        self._busy = any(each["state"] not in OVER for each in found["runs"])
        return View(as_runs(found["runs"]), as_reports(found["data"], self._visit.shown), report)

    async def _awaited(self, runs: list[Json]) -> Markup | None:
        """The report of the run that was begun here, once."""
        visit = self._visit
        run = next((each for each in runs if each["id"] == visit.awaited and each["state"] in OVER), None)
        if run is None:
            return self._last.report
        visit.awaited = ""
        return await report_of(self._api, visit, run["report"]) if run["report"] else self._last.report

    def _news(self, view: View) -> View:
        """What of it differs from the last one."""
        last, self._last = self._last, view
        names = ("runs", "reports", "report")
        return View(**{name: now for name in names if (now := getattr(view, name)) != getattr(last, name)})


def path_of(id: str) -> str:
    """Of a run, or of a report."""
    return f"{COMPARE}/{quote(id, safe='')}"


async def report_of(api: Api, visit: Visit, id: str) -> Markup:
    """One report, which is the one that is looked at from now on. Raises ApiError."""
    path = path_of(id)
    report = (await api.get(path))["report"]
    pictures = {name: content for name in PICTURES if (content := await _picture(api, f"{path}/{name}")) is not None}
    try:
        shown = as_report(id, report, pictures)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ApiError(_DAMAGED, 0) from error
    visit.shown = id
    visit.wake.set()
    return shown


async def _picture(api: Api, path: str) -> bytes | None:
    try:
        return (await api.text(path)).encode()
    except ApiError as error:
        if error.status == 404:  # not every report has all
            return None
        raise
