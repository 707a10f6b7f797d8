"""Measured reports, below the answers side by side: what quantization costs, measured in the server"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr
from markupsafe import Markup

from ggufrun.ui.errors import ApiError, shown, warn
from ggufrun.ui.measured.form import Form, offered
from ggufrun.ui.measured.watching import COMPARE, Visit, Watcher, path_of, report_of
from ggufrun.ui.models.pieces import wrong
from ggufrun.ui.shared import Shared

_CLICKS: Final = "ggufrunModels(element, trigger, 'act', 'look')"
_SEEN: Final = f"{_CLICKS}; ggufrunSeen(element, trigger, 'shown', 'hidden')"
_QUIET: Final[dict[str, Any]] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "trigger_mode": "multiple",
    "concurrency_limit": None,
}
_NO_RIGHTS: Final = (401, 403)  # of a key: whoever waits learns no more
_ABOUT: Final = Markup(
    '<p class="quiet">What each quant costs: KL divergence from the best of them, agreement, speed and memory, each '
    "with its 95 % interval. One model after the other is loaded in a process of its own; what the server has loaded "
    "beside it takes memory and speed.</p>"
)


def measured_panel(shared: Shared) -> None:
    """Nothing is looked at before it is seen."""
    visit = gr.State(Visit())
    with gr.Accordion("Measured reports", open=False, elem_id="measured"):
        gr.HTML(_ABOUT)
        form = Form.made()
        runs = gr.HTML(elem_id="measured-runs", js_on_load=_CLICKS)
        reports = gr.HTML(elem_id="measured-reports", js_on_load=_SEEN)
        report = gr.HTML(elem_id="measured-report")
    _Panel(shared, visit, form, runs, reports, report).connect()


@dataclass(frozen=True, slots=True)
class _Panel:
    shared: Shared
    visit: gr.State
    form: Form
    runs: gr.HTML
    reports: gr.HTML
    report: gr.HTML

    def connect(self) -> None:
        visit, form, report = self.visit, self.form, self.report
        self.reports.shown(self.watched, visit, [form.models, self.runs, self.reports, report], **_QUIET)
        self.reports.hidden(self.left, visit, None, queue=False, **_QUIET)
        form.start.click(self.begun, {visit, *form.inputs}, None, **_QUIET)
        for part in (self.runs, self.reports):
            part.act(self.act, visit, report, **_QUIET)

    async def watched(self, mine: Visit, request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
        api = self.shared.users.api(request)
        try:
            yield gr.update(choices=await offered(api)), gr.skip(), gr.skip(), gr.skip()
        except ApiError as error:
            yield gr.skip(), wrong(str(error)), gr.skip(), gr.skip()
            if error.status in _NO_RIGHTS:
                return
        async for view in Watcher(api, mine).views():
            yield gr.skip(), *map(_or_as_it_was, (view.runs, view.reports, view.report))

    async def left(self, mine: Visit) -> None:
        mine.watches += 1
        mine.wake.set()

    async def begun(self, data: dict[Any, Any], request: gr.Request) -> None:
        if not data[self.form.models]:
            warn("Choose the models first.", "Not yet")
            return
        mine: Visit = data[self.visit]
        try:
            run = await self.shared.users.api(request).post(COMPARE, self.form.body(data))
        except ApiError as error:
            raise shown(error) from error
        mine.awaited = run["id"]
        mine.wake.set()

    async def act(self, mine: Visit, event: gr.EventData, request: gr.Request) -> Any:
        """What models.js sends with a click. Returns the report that is to be shown."""
        api, asked = self.shared.users.api(request), event._data if isinstance(event._data, dict) else {}
        id = str(asked.get("id") or "")
        try:
            if asked.get("act") == "report":
                return await report_of(api, mine, id)
            if asked.get("act") in ("halt", "forget"):
                await api.delete(path_of(id))
        except ApiError as error:
            raise shown(error) from error
        mine.wake.set()
        if id != mine.shown:
            return gr.skip()
        mine.shown = ""
        return ""


def _or_as_it_was(piece: Markup | None) -> Any:
    return gr.skip() if piece is None else piece
