"""/ggufrun/v1/shadow: the answers of routes beside those of their shadows. They hold what users wrote: admin scope"""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from ggufrun.api.calls.call import Administered
from ggufrun.api.docs import errors
from ggufrun.api.gateway import Gateway
from ggufrun.api.manage.shadow_desk import ShadowDesk
from ggufrun.errors import OptionError
from ggufrun.records.shadow_report import EngineSum, ShadowSum, shadow_report
from ggufrun.records.shadows import Agreement, Chosen, ShadowAnswer, ShadowPair
from ggufrun.routing.shadow import ShadowState

router = APIRouter(prefix="/ggufrun/v1/shadow", tags=["shadow"])
_REFUSED: Final = errors(400, 401, 403, 422, 503)
_MOST_ID: Final = 2**63 - 1

Name = Annotated[str | None, Query(max_length=500)]
Since = Annotated[datetime | None, Query(description="Only what was asked then or later; without a zone in UTC.")]


class RunningShadow(BaseModel):
    """A route of this server that has a shadow, and what has become of its answers since the server started."""

    route: str
    engine: str
    share: float = Field(description="Of the route's answers, from 0 to 1.")
    waiting: int
    kept: int
    failed: int = Field(description="Of those kept: the shadow had no whole answer.")
    dropped: int = Field(description="Left out, because too many waited.")
    same: int = Field(description="Left out, because the shadow's own engine had answered.")
    lost: int = Field(description="They could not be kept: the log says why.")

    @classmethod
    def of(cls, state: ShadowState) -> "RunningShadow":
        counts = asdict(state.counts)
        return cls(route=state.route, engine=state.engine, share=state.share, waiting=state.waiting, **counts)


class EngineSide(BaseModel):
    """One engine of a pair. Times are medians in seconds; the shadow's is without its loading and waiting."""

    engine: str
    ttft_s: float | None
    total_s: float | None
    prompt_tokens: int
    completion_tokens: int
    spent_usd: float = Field(description="What it has charged.")

    @classmethod
    def of(cls, side: EngineSum) -> "EngineSide":
        return cls(**asdict(side))


class EnginePair(BaseModel):
    """All answers of one engine beside those of the shadow. `failed` ones are in no other figure."""

    route: str
    real: EngineSide
    shadow: EngineSide
    compared: int
    failed: int = Field(description="The shadow had no whole answer.")
    agreed: int
    by_text: int = Field(description="Of these: the same text, blanks aside.")
    by_json: int = Field(description="Of these: another text, but the same JSON.")
    by_tools: int = Field(description="Of these: the same tool calls.")
    share: float | None = Field(description="Of agreement; `share_lo` and `share_hi`: Wilson's 95 % interval.")
    share_lo: float | None
    share_hi: float | None
    similarity: float | None = Field(description="Median over the answers that differ: difflib's ratio of the words.")
    sampled: int = Field(description="At a temperature above 0, where one engine would differ from itself, too.")
    saved_usd: float = Field(description="Had the shadow's engine answered instead; below 0: it would have cost more.")
    last: datetime

    @classmethod
    def of(cls, found: ShadowSum) -> "EnginePair":
        sides = {"real": EngineSide.of(found.real), "shadow": EngineSide.of(found.shadow)}
        return cls(**{**asdict(found), **sides, "last": datetime.fromtimestamp(found.last, UTC)})


class ShadowSummary(BaseModel):
    running: list[RunningShadow]
    data: list[EnginePair]


class CalledTool(BaseModel):
    name: str
    arguments: str


class SideAnswer(BaseModel):
    engine: str
    finish_reason: str = Field(description="The error's type, where it failed.")
    error: str
    ttft_s: float | None
    total_s: float
    prompt_tokens: int
    completion_tokens: int
    spent_usd: float
    text: str
    tool_calls: list[CalledTool]

    @classmethod
    def of(cls, answer: ShadowAnswer) -> "SideAnswer":
        calls = [CalledTool(name=name, arguments=arguments) for name, arguments in answer.tool_calls]
        return cls(**{**asdict(answer), "tool_calls": calls})


class AnswerPair(BaseModel):
    id: int
    time: datetime
    route: str
    digest: str = Field(description="sha256 of all that was asked: the same question again has the same.")
    temperature: float
    agreement: Agreement = Field(description="How they agree: `text`, `json`, `tools`; `different`, or `failed`.")
    similarity: float = Field(description="difflib's ratio over the words, from 0 to 1.")
    question: str = Field(description="The last thing that the user said.")
    real: SideAnswer
    shadow: SideAnswer

    @classmethod
    def of(cls, pair: ShadowPair) -> "AnswerPair":
        own = {name: getattr(pair, name) for name in ("id", "route", "digest", "temperature", "agreement")}
        time, sides = datetime.fromtimestamp(pair.time, UTC), (SideAnswer.of(pair.real), SideAnswer.of(pair.shadow))
        return cls(**own, time=time, similarity=pair.similarity, question=pair.question, real=sides[0], shadow=sides[1])


class AnswerPairs(BaseModel):
    """Long texts are cut, and tool calls left out: `/shadow/pairs/{id}` has them."""

    data: list[AnswerPair]
    next: int | None = Field(description="The `before` of the next page.")


class Cleared(BaseModel):
    cleared: int


@router.get("", summary="What real and shadow answers add up to", responses=_REFUSED)
async def shadow_summary(gateway: Administered, route: Name = None, since: Since = None) -> ShadowSummary:
    desk = _desk(gateway)
    chosen = Chosen(route=route, since=_seconds(since))
    found = await asyncio.to_thread(shadow_report, desk.store, chosen, desk.interval)
    return ShadowSummary(running=list(map(RunningShadow.of, desk.running())), data=list(map(EnginePair.of, found)))


@router.delete("", summary="Forget the answers that are kept", responses=_REFUSED)
async def clear_shadows(gateway: Administered, route: Name = None) -> Cleared:
    return Cleared(cleared=await asyncio.to_thread(_desk(gateway).store.clear, route))


@router.get("/pairs", summary="List pairs of answers", responses=_REFUSED)
async def list_pairs(
    gateway: Administered,
    route: Name = None,
    real: Annotated[str | None, Query(max_length=500, description="The engine that answered.")] = None,
    shadow: Annotated[str | None, Query(max_length=500, description="The shadow's engine.")] = None,
    since: Since = None,
    differing: Annotated[bool | None, Query(description="Only those that differ, or that agree.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    before: Annotated[int | None, Query(ge=1, le=_MOST_ID, description="Only those with a smaller id.")] = None,
) -> AnswerPairs:
    """The newest first; a pair is there when the shadow has answered."""
    chosen = Chosen(route, real, shadow, _seconds(since), before, differing)
    found = await asyncio.to_thread(_desk(gateway).store.listed, chosen, limit)
    following = found[-1].id if len(found) == limit else None
    return AnswerPairs(data=list(map(AnswerPair.of, found)), next=following)


@router.get("/pairs/{id}", summary="One question with both answers", responses=_REFUSED | errors(404))
async def answer_pair(gateway: Administered, id: Annotated[int, Path(ge=1, le=_MOST_ID)]) -> AnswerPair:
    return AnswerPair.of(await asyncio.to_thread(_desk(gateway).store.pair, id))


def _desk(gateway: Gateway) -> ShadowDesk:
    if gateway.shadows is None:
        raise OptionError("This server keeps no shadow answers.", "Start it with `ggufrun serve`.")
    return gateway.shadows


def _seconds(since: datetime | None) -> float | None:
    return since.replace(tzinfo=since.tzinfo or UTC).timestamp() if since is not None else None
