"""GET /ggufrun/v1/calls: the last calls, one by one: a key's own, or everybody's for those who manage."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from ggufrun.api.calls.call import Caller
from ggufrun.api.docs import errors
from ggufrun.api.gateway import Gateway, gateway_of
from ggufrun.errors import OptionError
from ggufrun.records.calls import LoggedCall, last_calls

router = APIRouter(prefix="/ggufrun/v1", tags=["usage"])


class ListedCall(BaseModel):
    """What one call used. Times of waiting in seconds; never what was asked or answered."""

    id: int
    time: datetime
    request_id: str
    key: str = Field(description='The name of the key; "": none was asked for.')
    endpoint: str
    model: str
    quant: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    ttft_s: float | None
    total_s: float
    tokens_per_s: float
    finish_reason: str = Field(description='"cancelled", where its client left; the error\'s type, where it failed.')
    status: int
    usd: float | None = Field(description="What the hosted model would have cost; null: nobody knows.")
    engine: str = Field(description='Of those of a route, the one that answered or was asked last; "": no route.')
    spent_usd: float = Field(description="What engines elsewhere have charged.")
    thrown_tokens: int = Field(description="Of a route's attempts that were thrown away; they count for the key's day.")

    @classmethod
    def of(cls, call: LoggedCall) -> "ListedCall":
        entry = asdict(call.entry)
        del entry["file"]  # where this machine has it is nobody's business who only calls
        return cls(**{**entry, "id": call.id, "time": datetime.fromtimestamp(call.entry.time, UTC)})


class ListedCalls(BaseModel):
    data: list[ListedCall]
    next: int | None = Field(description="The `before` of the next page.")


@router.get("/calls", summary="List the last calls", responses=errors(400, 401, 403, 422))
async def list_calls(
    gateway: Annotated[Gateway, Depends(gateway_of)],
    key: Caller,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    before: Annotated[int | None, Query(ge=1, lt=2**63, description="Only those with a smaller id.")] = None,
) -> ListedCalls:
    """The newest first; a call is there a moment after its end."""
    if gateway.ledger is None:
        raise OptionError("This server records no calls.", "Start it with `ggufrun serve`.")
    whose = None if key is None or key.scope == "admin" else key.name
    found = await asyncio.to_thread(last_calls, gateway.ledger.path, limit, key=whose, before=before)
    following = found[-1].id if len(found) == limit else None
    return ListedCalls(data=[ListedCall.of(call) for call in found], next=following)
