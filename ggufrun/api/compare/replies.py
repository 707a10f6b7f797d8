"""The replies of the routes of comparisons and blind votes. Shares from 0 to 1, times in seconds"""

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ggufrun.api.compare.comparer import ModeName
from ggufrun.api.library.jobs import OVER, Job, JobState
from ggufrun.records.votes import BlindVote


class CompareRun(BaseModel):
    """A comparison that goes on by itself, whoever watches it."""

    id: str
    state: JobState
    error: str = Field(description="Why it failed.")
    notes: list[str]
    models: list[str]
    mode: ModeName
    done: float = Field(description="From 0 to 1.")
    left_s: float | None = Field(description="Seconds until its end; null: not known yet.")
    doing: str = Field(description="What is being measured.")
    row: str = Field(description="Of which line of the table.")
    report: str | None = Field(description="The id of the report that it has become, also where it was stopped.")
    created: datetime
    ended: datetime | None

    @classmethod
    def of(cls, job: Job) -> "CompareRun":
        """As it is now: its thread goes on, so its state is read before the rest."""
        state = job.state
        ended, going = job.ended if state in OVER else None, job.going
        return cls(
            id=job.id,
            state=state,
            error=job.error,
            notes=job.notes,
            models=job.asked["models"],
            mode=job.asked["mode"],
            done=1.0 if state == "done" else going.done,
            left_s=going.left_s,
            doing=going.doing,
            row=going.row,
            report=(job.result or {}).get("id"),
            created=datetime.fromtimestamp(job.created, UTC),
            ended=datetime.fromtimestamp(ended, UTC) if ended is not None else None,
        )


class ReportSummary(BaseModel):
    id: str
    title: str
    created: datetime
    rows: int
    unfinished: bool = Field(description="It was stopped before its end: rows may lack parts.")
    recommendation: str | None


class Comparisons(BaseModel):
    runs: list[CompareRun] = Field(description="Of this run of the server, the latest first.")
    data: list[ReportSummary] = Field(description="Reports that are kept, the latest first.")


class Comparison(BaseModel):
    """A run, or a report, or a run with the report that it has become."""

    id: str
    run: CompareRun | None
    report: dict[str, Any] | None = Field(description="All that report.json has; null: there is none, or no more.")


class VoteReply(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    a: str
    b: str
    verdict: Literal["a", "b", "tie"]
    prompt: str
    created: float

    @classmethod
    def of(cls, vote: BlindVote) -> "VoteReply":
        return cls.model_validate(vote)


class PairReply(BaseModel):
    """All votes of the caller between two models; `a` stands before `b` in the alphabet."""

    a: str
    b: str
    votes_a: int
    votes_b: int
    ties: int
    decided: int
    win_rate: float | None = Field(description="How often `a` won the decided votes; null: none is decided.")
    win_rate_lo: float | None = Field(description="The 95 % interval.")
    win_rate_hi: float | None


class Voted(BaseModel):
    vote: VoteReply
    pair: PairReply = Field(description="Where the two stand now.")


class BlindVotes(BaseModel):
    data: list[VoteReply] = Field(description="The latest first.")
    pairs: list[PairReply] = Field(description="Those with the latest votes first.")
