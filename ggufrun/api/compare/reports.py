"""/ggufrun/v1/compare: measured comparisons: begun, watched as server-sent events, stopped, and their reports"""

import hashlib
import re
from contextlib import suppress
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request
from pydantic import Field
from starlette.responses import Response

from ggufrun.api.compare.comparer import MEDIA_TYPES, Comparer, FileName, ModeName, TaskName, Wanted
from ggufrun.api.compare.replies import CompareRun, Comparison, Comparisons, ReportSummary
from ggufrun.api.conversation.incoming import Body
from ggufrun.api.docs import errors
from ggufrun.api.library.desk import Desk
from ggufrun.api.library.job_routes import WATCHED, watched
from ggufrun.api.library.jobs import Job
from ggufrun.api.library.routes import Asked
from ggufrun.errors import OptionError, UnknownJob
from ggufrun.settings import KvType

router = APIRouter(prefix="/ggufrun/v1/compare", tags=["compare"])
_ONE: Final = errors(400, 401, 403, 404, 429)
# A report holds what models wrote. Opened in a browser it is of no origin, can load nothing and send nothing.
_POLICY: Final = "sandbox{}; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_SCRIPT: Final = re.compile(rb"script-src '(sha256-[A-Za-z0-9+/=]+)'")  # the one script that a report itself allows
_FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The file.", "content": {type_: {} for type_ in MEDIA_TYPES.values()}},
    **errors(400, 401, 403, 404, 422, 429),
}


class NewComparison(Body):
    models: list[str] = Field(
        min_length=1, max_length=32, description="Of this machine, as `ggufrun run` takes them.", examples=[["a.gguf"]]
    )
    mode: ModeName = "default"
    text: str | None = Field(None, max_length=5_000_000, description="Your own to measure on; null: the built-in one.")
    kv_types: list[KvType] = Field(["f16"], min_length=1, max_length=3, description="Each is a row of each model.")
    tasks: list[TaskName] | None = Field(
        None,
        max_length=3,
        description="Tasks, too: [] are none; null: those that belong to the mode, which has all if full.",
    )
    min_tok_s: float | None = Field(None, ge=0, description="The recommended one writes so many tokens a second.")
    context: int | None = Field(None, ge=1, description="The recommended one has room for so many tokens of context.")
    gpu: str | None = Field(
        None, max_length=200, description="Recommend for other GPUs than this machine's.", examples=["24GB"]
    )
    ram: str | None = Field(None, max_length=200, description="Recommend for other memory.", examples=["32GB"])


def comparing(desk: Asked) -> tuple[Desk, Comparer]:
    """The dependency of these routes: for those who may manage. Raises OptionError where nothing can be compared."""
    if desk.comparer is None:
        raise OptionError("This server compares no models.", "Start it with `ggufrun serve`.")
    return desk, desk.comparer


Comparing = Annotated[tuple[Desk, Comparer], Depends(comparing)]


@router.post("", summary="Compare models", responses=errors(400, 401, 403, 404, 422, 429, 503), status_code=202)
async def begin_comparison(body: NewComparison, comparing: Comparing, request: Request) -> CompareRun:
    """One comparison after the other, each model in a process of its own. What is measured already is not again."""
    desk, comparer = comparing
    wanted = _wanted(body)
    await desk.ask(request, lambda: comparer.check(wanted))

    def work(job: Job) -> dict[str, Any]:
        return dict(comparer.compare(wanted, job, job.stop))

    asked = {"models": body.models, "mode": body.mode, "kv_types": body.kv_types, "text": _digest(body.text)}
    return CompareRun.of(desk.jobs.begin("compare", asked, work))


@router.get("", summary="List comparisons and their reports", responses=errors(400, 401, 403, 429))
async def list_comparisons(comparing: Comparing, request: Request) -> Comparisons:
    desk, comparer = comparing
    kept = await desk.ask(request, comparer.reports)
    runs = [CompareRun.of(job) for job in desk.jobs.listed("compare")]
    return Comparisons(runs=runs, data=[ReportSummary.model_validate(each) for each in kept])


@router.get("/{id}", summary="One comparison", responses=_ONE)
async def one_comparison(id: str, comparing: Comparing, request: Request) -> Comparison:
    """By a run's id or a report's; the report of a run is there when that has ended, until it is deleted."""
    desk, comparer = comparing
    run = _run(desk, id)
    if run is None:
        return Comparison(id=id, run=None, report=dict(await desk.ask(request, lambda: comparer.report(id))))
    report = None
    if (of := run.report) is not None:
        with suppress(UnknownJob):
            report = dict(await desk.ask(request, lambda: comparer.report(of)))
    return Comparison(id=id, run=run, report=report)


@router.get("/{id}/events", summary="Watch a comparison", responses=WATCHED, response_class=Response)
async def watch_comparison(id: str, comparing: Comparing) -> Response:
    desk, _ = comparing
    return watched(desk.jobs.find("compare", id), CompareRun.of)


@router.delete("/{id}", summary="Stop a comparison, or delete a report", responses=_ONE)
async def stop_or_delete(id: str, comparing: Comparing, request: Request) -> Comparison:
    """By a run's id it is stopped: what is measured is kept, as a report too, and the same goes on from there.

    By a report's id that is deleted. Who stops a run that has just ended deletes nothing.
    """
    desk, comparer = comparing
    try:
        job = desk.jobs.find("compare", id)
    except UnknownJob:
        await desk.ask(request, lambda: comparer.delete(id))
        return Comparison(id=id, run=None, report=None)
    desk.jobs.stop(job)
    return Comparison(id=id, run=CompareRun.of(job), report=None)


@router.get("/{id}/{file}", summary="A file of a report", responses=_FILE, response_class=Response)
async def report_file(
    id: str, file: Annotated[FileName, Path(description="Which one.")], comparing: Comparing, request: Request
) -> Response:
    desk, comparer = comparing
    run = _run(desk, id)
    of = id if run is None else run.report or id
    content = await desk.ask(request, lambda: comparer.file(of, file))
    media_type = MEDIA_TYPES[file.rpartition(".")[2]]
    headers = {
        "Content-Security-Policy": policy_of(content),
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return Response(content, media_type=media_type, headers=headers)


def policy_of(content: bytes) -> str:
    """For browsers. The script that sorts a report's table may run, by its hash; nothing else does."""
    script = _SCRIPT.search(content)
    if script is None:
        return _POLICY.format("")
    return f"{_POLICY.format(' allow-scripts')}; script-src '{script[1].decode()}'"


def _wanted(body: NewComparison) -> Wanted:
    return Wanted(
        models=tuple(body.models),
        mode=body.mode,
        text=body.text,
        kv_types=tuple(body.kv_types),
        tasks=None if body.tasks is None else tuple(body.tasks),
        min_tok_s=body.min_tok_s,
        context=body.context,
        gpu=(body.gpu or "").strip() or None,
        ram=(body.ram or "").strip() or None,
    )


def _digest(text: str | None) -> str | None:
    """A job is remembered by it, and written to the log where it fails: the text itself is its owner's."""
    return hashlib.sha256(text.encode()).hexdigest() if text is not None else None


def _run(desk: Desk, id: str) -> CompareRun | None:
    try:
        return CompareRun.of(desk.jobs.find("compare", id))
    except UnknownJob:
        return None
