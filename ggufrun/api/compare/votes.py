"""/ggufrun/v1/blind/votes: blind votes between two models, each key its own, and where each pair stands"""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field

from ggufrun.api.chats.owned import Chats, refused
from ggufrun.api.compare.comparer import Comparer
from ggufrun.api.compare.replies import BlindVotes, PairReply, Voted, VoteReply
from ggufrun.api.conversation.incoming import Body
from ggufrun.api.gateway import Gateway, gateway_of
from ggufrun.records.votes import PairVotes

router = APIRouter(prefix="/ggufrun/v1/blind/votes", tags=["blind votes"])
_NAME: Final = 500
_LISTED: Final = refused(400, 401, 403, 422, 500, 503)


class NewVote(Body):
    a: str = Field(min_length=1, max_length=_NAME, description="A model's name.", examples=["ministral-3-8b:Q4_K_M"])
    b: str = Field(min_length=1, max_length=_NAME, description="Another one's.", examples=["ministral-3-8b:Q8_0"])
    verdict: Literal["a", "b", "tie"] = Field(description="Which of them answered better.")
    prompt: str = Field("", max_length=100_000, description="What both were asked.")


@router.post("", summary="Vote", responses=refused(400, 401, 403, 413, 422, 500, 503), status_code=201)
async def vote(body: NewVote, chats: Chats, request: Request) -> Voted:
    """Whoever votes should not have known who was who."""
    votes, comparer = chats.store.votes, comparer_of(gateway_of(request))

    def kept() -> Voted:
        added = votes.add(chats.owner, body.a, body.b, body.verdict, body.prompt)
        return Voted(vote=VoteReply.of(added), pair=_pair(votes.pair(chats.owner, body.a, body.b), comparer))

    return await chats.stored(kept)


@router.get("", summary="List the votes, and where each pair stands", responses=_LISTED)
async def list_votes(
    chats: Chats, request: Request, limit: Annotated[int, Query(ge=0, le=1000, description="Of `data`.")] = 50
) -> BlindVotes:
    votes, comparer = chats.store.votes, comparer_of(gateway_of(request))

    def found() -> BlindVotes:
        listed, pairs = votes.listed(chats.owner, limit), votes.pairs(chats.owner)
        return BlindVotes(data=list(map(VoteReply.of, listed)), pairs=[_pair(each, comparer) for each in pairs])

    return await chats.stored(found)


@router.delete("/{id}", summary="Take a vote back", responses=refused(400, 401, 403, 404, 500, 503))
async def take_back(id: str, chats: Chats, request: Request) -> Voted:
    """What it was, and where the two stand without it."""
    votes, comparer = chats.store.votes, comparer_of(gateway_of(request))

    def dropped() -> Voted:
        was = votes.delete(chats.owner, id)
        return Voted(vote=VoteReply.of(was), pair=_pair(votes.pair(chats.owner, was.a, was.b), comparer))

    return await chats.stored(dropped)


def comparer_of(gateway: Gateway) -> Comparer | None:
    return gateway.library.comparer if gateway.library is not None else None


def _pair(votes: PairVotes, comparer: Comparer | None) -> PairReply:
    decided = votes.for_a + votes.for_b
    rate, lo, hi = comparer.win_rate(votes.for_a, votes.for_b) if comparer and decided else (None, None, None)
    return PairReply(
        a=votes.a,
        b=votes.b,
        votes_a=votes.for_a,
        votes_b=votes.for_b,
        ties=votes.ties,
        decided=decided,
        win_rate=rate,
        win_rate_lo=lo,
        win_rate_hi=hi,
    )
