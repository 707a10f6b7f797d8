"""Looks up what the user asks for: on the hub, among the cards, and plans. A new question takes an old one's place."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from ggufrun.errors import GgufrunError
from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError
from ggufrun.ui.models.found import as_cards, as_repos
from ggufrun.ui.models.knobs import query_of
from ggufrun.ui.models.pieces import busy, button, wrong
from ggufrun.ui.models.plan import as_package, as_plan
from ggufrun.ui.models.quants import as_quants, chosen_of, has, spec_of
from ggufrun.ui.models.turn import Superseded
from ggufrun.ui.models.visit import Visit
from ggufrun.ui.models.watching import LIBRARY

Json = dict[str, Any]

_SPEC: Final = re.compile(r"(https?://\S+|[\w.-]+/[\w.-]+(:[\w.-]+)?)")  # what is shown at once, without a search
_EMPTY: Final = Markup("")


@dataclass(frozen=True, slots=True)
class Seen:
    """What is to be shown; None: as it was."""

    found: Markup | None = None
    quants: Markup | None = None
    plan: Markup | None = None


async def looked(asked: Json, visit: Visit, api: Api) -> AsyncIterator[Seen]:
    """`asked`: what the browser tells of a click or a form; see models.js."""
    act, spec = asked.get("act"), str(asked.get("spec") or "")
    steps: AsyncIterator[Seen]
    if act == "seek" and _SPEC.fullmatch(words := str(asked.get("q") or "").strip()):
        steps = _choose(words, visit, api)
    elif act == "seek":
        steps = _seek(words, visit, api)
    elif act == "cards":
        steps = _seek("", visit, api)
    elif act == "choose":
        steps = _choose(spec, visit, api)
    elif act == "plan":
        steps = _plan(spec, visit, api)
    elif act == "local":
        steps = _local(spec, visit, api)
    elif act == "knobs":
        steps = _replan(asked, visit, api)
    else:
        return
    try:
        async for seen in steps:
            yield seen
    except Superseded:
        return


async def _seek(words: str, visit: Visit, api: Api) -> AsyncIterator[Seen]:
    visit.searches = bool(words)
    if not words:
        cards = await visit.seeking.ask(api.get(f"{LIBRARY}/cards"))
        yield Seen(found=as_cards(cards["data"]))
        return
    yield Seen(found=busy(f"Asking the hub for “{words}”…"))
    try:
        repos = await visit.seeking.ask(api.get(f"{LIBRARY}/search", q=words, limit=50))
    except ApiError as error:
        yield Seen(found=Markup("{}<p>{}</p>").format(_failed(error), button("Known models", "cards")))
        return
    yield Seen(found=as_repos(words, repos["data"]))


async def _choose(spec: str, visit: Visit, api: Api) -> AsyncIterator[Seen]:
    """Its quants, then the plan of the best one."""
    visit.planning.drop()
    visit.asked, visit.shown, visit.planned = spec, None, ""
    yield Seen(quants=busy(f"Asking the hub about {spec}…"), plan=_EMPTY)
    cards = await visit.showing.ask(api.get(f"{LIBRARY}/cards"))
    package = next((card for card in cards["data"] if card["name"] == spec and card["install"]), None)
    if package is not None:
        yield Seen(quants=as_package(package))
        if package["here"]:
            async for seen in _plan(spec, visit, api):
                yield seen
        return
    async for seen in _shown(visit, api):
        yield seen


async def _shown(visit: Visit, api: Api) -> AsyncIterator[Seen]:
    """What was asked for, with the knobs as they are."""
    repo, tag = _apart(visit.asked)
    try:
        knobs = query_of(visit.form)
        visit.shown = shown = await visit.showing.ask(api.get(f"{LIBRARY}/show", spec=repo, **knobs))
    except GgufrunError as error:
        yield Seen(quants=_failed(error))
        return
    planned = visit.planned.rpartition(":")[2] if visit.planned else chosen_of(shown, tag)
    lacks = wrong(f"It has no quant called {tag}.") if tag and not has(shown, tag) else _EMPTY
    yield Seen(quants=lacks + as_quants(shown, planned))
    if planned and not visit.planned:
        async for seen in _plan(spec_of(shown, planned), visit, api):
            yield seen


async def _plan(spec: str, visit: Visit, api: Api) -> AsyncIterator[Seen]:
    visit.planned = spec
    yield Seen(plan=busy(f"Planning {spec}…"))
    try:
        plan = await visit.planning.ask(api.get(f"{LIBRARY}/fit", spec=spec, **query_of(visit.form)))
    except GgufrunError as error:
        yield Seen(plan=_failed(error))
        return
    yield Seen(plan=as_plan(plan, spec))


async def _local(spec: str, visit: Visit, api: Api) -> AsyncIterator[Seen]:
    """A model of this machine: its plan alone."""
    visit.showing.drop()
    visit.asked, visit.shown = "", None
    yield Seen(quants=_EMPTY)
    async for seen in _plan(spec, visit, api):
        yield seen


async def _replan(form: Json, visit: Visit, api: Api) -> AsyncIterator[Seen]:
    """The plan first, then what fits of the others."""
    visit.form = {name: value for name, value in form.items() if name != "act"}
    if visit.planned:
        async for seen in _plan(visit.planned, visit, api):
            yield seen
    if visit.asked:
        async for seen in _shown(visit, api):
            yield seen


def _apart(spec: str) -> tuple[str, str]:
    """Repository or card, and the quant behind it; "": none is named. All quants are shown, whichever is asked for."""
    if "://" in spec:
        return spec, ""
    repo, _, tag = spec.partition(":")
    return repo, tag


def _failed(error: GgufrunError) -> Markup:
    here = " What is on this machine works all the same." if isinstance(error, ApiError) and error.status >= 502 else ""
    return wrong(f"{error}{here}")
