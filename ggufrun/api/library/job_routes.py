"""/ggufrun/v1/library/pulls and /verify: work that takes minutes: begun, watched as server-sent events, stopped."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from ggufrun.api.calls.event_stream import EventStream
from ggufrun.api.conversation.incoming import Body
from ggufrun.api.docs import errors
from ggufrun.api.library.jobs import Job
from ggufrun.api.library.replies import PullJob, PullJobs, VerifyJob, VerifyJobs
from ggufrun.api.library.routes import Asked

router = APIRouter(prefix="/ggufrun/v1/library", tags=["library"])
_BETWEEN_S: Final = 0.2  # events: five a second
_LISTED: Final = errors(400, 401, 403)
_ONE: Final = errors(400, 401, 403, 404)
_BEGUN: Final = errors(400, 401, 403, 422, 429, 503)
WATCHED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The job as it is now and whenever it has changed; the last event says how it ended.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    **_ONE,
}


class NewPull(Body):
    spec: str = Field(
        min_length=1, max_length=500, description="As for /show; without :QUANT the best that fits.", examples=["demo"]
    )
    revision: str | None = None
    mmproj: bool = Field(True, description="With the part that sees images, if there is one.")


class NewCheck(Body):
    names: list[str] = Field([], max_length=1000, description="As /library/local has them; none: all of ours.")


@router.post("/pulls", summary="Fetch a model", responses=_BEGUN, status_code=202)
async def begin_pull(body: NewPull, desk: Asked) -> PullJob:
    """One after the other, each file in several ranges. What came already is never fetched again."""

    def work(job: Job) -> dict[str, Any]:
        return desk.library.pull(body.spec, body.revision, body.mmproj, job, job.stop)

    asked = {"spec": body.spec, "revision": body.revision, "mmproj": body.mmproj}
    return PullJob.of(desk.jobs.begin("pull", asked, work))


@router.get("/pulls", summary="List the pulls", responses=_LISTED)
async def list_pulls(desk: Asked) -> PullJobs:
    """Of this run of the server, the latest first."""
    return PullJobs(data=[PullJob.of(job) for job in desk.jobs.listed("pull")])


@router.get("/pulls/{id}", summary="One pull", responses=_ONE)
async def one_pull(id: str, desk: Asked) -> PullJob:
    return PullJob.of(desk.jobs.find("pull", id))


@router.get("/pulls/{id}/events", summary="Watch a pull", responses=WATCHED, response_class=Response)
async def watch_pull(id: str, desk: Asked) -> Response:
    return watched(desk.jobs.find("pull", id), PullJob.of)


@router.delete("/pulls/{id}", summary="Stop a pull", responses=_ONE)
async def stop_pull(id: str, desk: Asked) -> PullJob:
    """What came is kept: the next pull of it goes on from there."""
    job = desk.jobs.find("pull", id)
    desk.jobs.stop(job)
    return PullJob.of(job)


@router.post("/verify", summary="Check models against their checksums", responses=_BEGUN, status_code=202)
async def begin_check(body: NewCheck, desk: Asked) -> VerifyJob:
    def work(job: Job) -> dict[str, Any]:
        return desk.library.verify(body.names, job, job.stop)

    return VerifyJob.of(desk.jobs.begin("verify", {"names": body.names}, work))


@router.get("/verify", summary="List the checks", responses=_LISTED)
async def list_checks(desk: Asked) -> VerifyJobs:
    return VerifyJobs(data=[VerifyJob.of(job) for job in desk.jobs.listed("verify")])


@router.get("/verify/{id}", summary="One check", responses=_ONE)
async def one_check(id: str, desk: Asked) -> VerifyJob:
    return VerifyJob.of(desk.jobs.find("verify", id))


@router.get("/verify/{id}/events", summary="Watch a check", responses=WATCHED, response_class=Response)
async def watch_check(id: str, desk: Asked) -> Response:
    return watched(desk.jobs.find("verify", id), VerifyJob.of)


@router.delete("/verify/{id}", summary="Stop a check", responses=_ONE)
async def stop_check(id: str, desk: Asked) -> VerifyJob:
    job = desk.jobs.find("verify", id)
    desk.jobs.stop(job)
    return VerifyJob.of(job)


def watched(job: Job, shown: Callable[[Job], BaseModel]) -> Response:
    """Events: the job as `shown` has it, now and whenever it has changed, to its end."""
    return EventStream(_events(job, shown), AsyncExitStack())


async def _events(job: Job, shown: Callable[[Job], BaseModel]) -> AsyncGenerator[str, None]:
    """It looks now and then: a job changes for each MiB, in a thread of its own."""
    seen = -1
    while True:
        version, over = job.version, job.over  # before what is shown: no change is missed
        if over or version != seen:
            seen = version
            yield f"data: {shown(job).model_dump_json()}"
        if over:
            return
        await asyncio.sleep(_BETWEEN_S)
