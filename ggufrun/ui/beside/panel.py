"""Side by side: several models answer one prompt, streaming, with their figures and their differences."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Final

import gradio as gr
from markupsafe import Markup

from ggufrun.ui.beside.asking import Asking
from ggufrun.ui.beside.bar import Bar
from ggufrun.ui.beside.choices import Choices, choices, to_serve
from ggufrun.ui.beside.columns import FEWEST, MOST, Column
from ggufrun.ui.beside.contender import Contender, Standing
from ggufrun.ui.beside.copied import as_markdown
from ggufrun.ui.beside.differences import differences
from ggufrun.ui.beside.race import Race
from ggufrun.ui.beside.served import Served
from ggufrun.ui.beside.shown import WAITS, stage
from ggufrun.ui.blind.ballot import Ballot
from ggufrun.ui.blind.booth import Booth
from ggufrun.ui.blind.voting import Voting
from ggufrun.ui.errors import ApiError, shown, warn
from ggufrun.ui.measured.panel import measured_panel
from ggufrun.ui.shadow.panel import shadow_panel
from ggufrun.ui.shared import Shared, now

_log = logging.getLogger(__name__)

Changes = dict[Any, Any]
_QUIET: Final[dict[str, Any]] = {"api_visibility": "private", "show_progress": "hidden"}
_WAY: Final = Markup('<p class="quiet" role="status">{}</p>')
_BROKEN: Final = Markup('<p class="failed" role="alert">{}</p>')


def beside_tab(shared: Shared, tab: gr.Tab) -> None:
    """Within its tab, which fills it when it is opened."""
    asking, bar, booth = Asking.made(), Bar.made(), Booth.made()
    way = gr.HTML(elem_id="beside-way")
    with gr.Row(elem_id="beside-columns", equal_height=False):
        columns = tuple(Column.made(number) for number in range(1, MOST + 1))
    markdown = gr.Textbox(visible="hidden", elem_id="beside-markdown")
    voting = Voting(shared.users, booth, columns, markdown)
    states = gr.State(FEWEST), gr.State(None), gr.State(False)
    _Panel(shared, asking, bar, voting, way, columns, markdown, *states).connect(tab)
    voting.connect()
    measured_panel(shared)
    shadow_panel(shared)


@dataclass(frozen=True, slots=True)
class _Panel:
    shared: Shared
    asking: Asking
    bar: Bar
    voting: Voting
    way: gr.HTML
    columns: tuple[Column, ...]
    markdown: gr.Textbox  # what is copied: a browser copies at once, or not at all
    count: gr.State  # of the columns that are shown
    ended: gr.State  # the last `Standing` of a race that is over
    seen: gr.State  # whether the tab was ever opened
    races: dict[str, Race] = field(default_factory=dict)  # those that run, by the browser tabs

    @property
    def booth(self) -> Booth:
        return self.voting.booth

    def connect(self, tab: gr.Tab) -> None:
        bar, columns, shared = self.bar, self.columns, self.shared
        quick: dict[str, Any] = {**_QUIET, "queue": False}
        models, words = [each.model for each in columns], [each.words for each in columns]
        inputs = {*self.asking.inputs, *self.booth.inputs, bar.reference, shared.settings, self.count, *models}
        results = [part for each in columns for part in (each.stage, each.answer, each.words, each.figures)]
        told = [self.way, bar.run, bar.stop, self.markdown, self.ended, shared.models_changed]
        outputs = [*models, *results, *told, *self.booth.outputs]
        begins = [bar.run.click, self.asking.prompt.submit]
        gr.on(begins, self.raced, inputs, outputs, concurrency_limit=None, **_QUIET)
        bar.stop.click(self.stopped, None, None, **quick)
        frame = [self.count, *(each.box for each in columns), bar.add, bar.remove, bar.reference]
        bar.add.click(self.added, [self.count, bar.reference], frame, **quick)
        bar.remove.click(self.removed, [self.count, bar.reference], frame, **quick)
        bar.reference.input(self.compared, [self.ended, bar.reference], words, **quick)
        bar.copy.click(None, self.markdown, None, js="(text) => window.ggufrunBeside.copy(text)", **quick)
        chosen: set[Any] = {*models, shared.model, self.seen}
        filled = [*models, self.seen]
        tab.select(self.offered, chosen, filled, **quick)
        shared.models_changed.change(self.offered_again, chosen, filled, **quick)
        for model in models:  # through the queue: what is changed beside it tells nobody (see `shared`)
            model.select(self.chosen, model, [model, shared.models_changed], concurrency_limit=None, **_QUIET)

    async def raced(self, data: Changes, request: gr.Request) -> AsyncIterator[Changes]:
        """One event for all columns: each one's own would update the page as often."""
        question = self.asking.question(data, data[self.shared.settings].now)
        names = [data[column.model] for column in self.columns[: data[self.count]]]
        ballot, blind = data[self.booth.ballot], data[self.booth.blind]
        if wrong := _missing(question.prompt, names) or (self.booth.lacks(names) if blind else ""):
            warn(wrong, "Not yet")
            yield self.bar.runs(False)
            return
        if blind:
            names = ballot.begin(names, question.prompt)
        else:
            ballot.end()
        key = str(request.session_hash)
        race = self.races[key] = Race(self.shared.users.api(request), question, names, apart=data[self.asking.apart])
        last: list[Contender | None] = [None] * len(names)
        try:
            yield {**self._begun(), **self.voting.begun(ballot)}
            shown_race = self._shown(race, question.prompt, last, data[self.bar.reference] or 0, ballot)
            async with aclosing(shown_race) as all_changes:
                async for changes in all_changes:
                    yield changes
        except Exception as error:  # whatever it is, as of a server of another version: the next race must be possible
            _log.exception("A race of models broke off.")
            yield self._broken(error, last)
        finally:
            if self.races.get(key) is race:
                del self.races[key]

    async def _shown(
        self, race: Race, prompt: str, last: list[Contender | None], reference: int, ballot: Ballot
    ) -> AsyncGenerator[Changes, None]:
        """The race from its beginning to its end. `last`: what is shown of the contenders."""
        way, votable = "", False
        async with aclosing(race.standings()) as standings:
            async for standing in standings:
                changes = {} if standing.way == way else {self.way: _WAY.format(standing.way)}
                contenders = ballot.seen(standing)
                for column, before, contender in zip(self.columns, last, contenders, strict=False):
                    changes |= column.changes(before, contender)
                if ballot.votable is not votable:
                    changes |= self.booth.state(ballot)
                last[:], way, votable = contenders, standing.way, ballot.votable
                if changes:
                    yield changes
        yield {**self._over(prompt, standing, ballot), **self.booth.state(ballot)}
        if ballot.names and not ballot.hides and not ballot.vote:  # one has failed, say
            yield self.voting.names(ballot)
        yield self._words(await differences(standing.contenders, reference))

    async def stopped(self, request: gr.Request) -> None:
        if race := self.races.get(str(request.session_hash)):
            race.stop()

    async def compared(self, ended: Standing | None, reference: int) -> Any:
        return self._words(await differences(ended.contenders, reference)) if ended else gr.skip()

    async def added(self, count: int, reference: int) -> Changes:
        return self._framed(min(count + 1, MOST), reference)

    async def removed(self, count: int, reference: int) -> Changes:
        return self._framed(max(count - 1, FEWEST), reference)

    async def offered_again(self, data: Changes, request: gr.Request) -> Any:
        """Only who has ever opened the tab needs it: the disks are looked through for it."""
        return await self.offered(data, request) if data[self.seen] else gr.skip()

    async def offered(self, data: Changes, request: gr.Request) -> Changes:
        try:
            found = await choices(self.shared.users.api(request))
        except ApiError as error:
            raise shown(error) from error
        values = found.filled([data[column.model] for column in self.columns], data[self.shared.model])
        pairs = list(found.pairs)
        filled = zip(self.columns, values, strict=True)
        return {self.seen: True, **{each.model: gr.update(choices=pairs, value=value) for each, value in filled}}

    async def chosen(self, value: str | None, request: gr.Request) -> Changes | tuple[Any, Any]:
        """What lies here and is not served is served when it is chosen."""
        if not (spec := to_serve(value or "")):
            return gr.skip(), gr.skip()
        api = self.shared.users.api(request)
        try:
            name = await Served(api).add(spec)
            found = await choices(api)
        except ApiError as error:
            warn(str(error), f"{spec} is not served")
            return gr.update(value=None), gr.skip()
        return _served(found, name), now()

    def _begun(self) -> Changes:
        cleared: Changes = {}
        for column in self.columns:
            cleared |= {column.stage: "", column.answer: "", column.figures: "", column.words: WAITS}
        return {**cleared, **self.bar.runs(True), self.way: "", self.markdown: "", self.ended: None}

    def _over(self, prompt: str, standing: Standing, ballot: Ballot) -> Changes:
        """Other parts hear of it, too: it has loaded models, and perhaps others had to go."""
        kept = {self.markdown: "" if ballot.hides else as_markdown(prompt, standing), self.ended: standing}
        return {**self.bar.runs(False), **kept, self.shared.models_changed: now()}

    def _broken(self, error: Exception, last: list[Contender | None]) -> Changes:
        """What has come stays; the models may be loaded."""
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        running = [(column, each) for column, each in zip(self.columns, last, strict=False) if each and not each.over]
        stages = {column.stage: stage(replace(each, stage="stopped")) for column, each in running}
        told = f"The race broke off: {error or type(error).__name__}. Run it again; the server's log has the details."
        return {**stages, **self.bar.runs(False), self.way: _BROKEN.format(told), self.shared.models_changed: now()}

    def _words(self, marked: list[Markup]) -> Changes:
        return dict(zip((column.words for column in self.columns), marked, strict=False))

    def _framed(self, count: int, reference: int | None) -> Changes:
        boxes = {each.box: gr.update(visible=number < count) for number, each in enumerate(self.columns)}
        return {**boxes, self.count: count, **self.bar.counts(count, reference)}


def _missing(prompt: str, names: list[str | None]) -> str:
    """What has to be done before a race; "" where nothing has."""
    if not prompt:
        return "Write a prompt first."
    empty = [number for number, name in enumerate(names, 1) if not name or to_serve(name)]
    return f"Choose a model in column {empty[0]}, or remove it." if empty else ""


def _served(found: Choices, name: str) -> Any:
    if name not in found.served:
        warn(f"{name} makes no text that could be compared.", "Choose another one")
        return gr.update(choices=list(found.pairs), value=None)
    return gr.update(choices=list(found.pairs), value=name)
