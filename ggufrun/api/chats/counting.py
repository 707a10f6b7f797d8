"""/ggufrun/v1/chats/{id}/count: the tokens of a run before it is asked for. It answers nothing and is in no ledger."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field

from ggufrun.api.calls.call import Caller
from ggufrun.api.chats.bodies import RunBody
from ggufrun.api.chats.counted import Counted, exchanges_of, parts_of
from ggufrun.api.chats.owned import Chats, Owned, refused
from ggufrun.api.chats.question import question_of
from ggufrun.api.gateway import Gateway, gateway_of
from ggufrun.chat.tool_check import check_schemas
from ggufrun.errors import Forbidden, ModelLacks
from ggufrun.records.chats import Chat
from ggufrun.records.keys import Key

router = APIRouter(prefix="/ggufrun/v1/chats", tags=["chats"])
_REFUSED = refused(400, 401, 403, 404, 413, 422, 500, 503)
_Gateway = Annotated[Gateway, Depends(gateway_of)]


class CountBody(RunBody):
    exchanges: bool = Field(False, description="Count each exchange of the branch, too.")


@router.post("/count", summary="Count the tokens of a chat's first run", responses=_REFUSED)
async def count_first(body: CountBody, chats: Chats, key: Caller, gateway: _Gateway) -> Counted:
    empty = Chat(0, "", chats.owner, "", "", {}, head=None, created=0.0, updated=0.0, run=None)
    return await _counted(empty, body, chats, key, gateway)


@router.post("/{id}/count", summary="Count the tokens of a run", responses=_REFUSED)
async def count_run(id: str, body: CountBody, chats: Chats, key: Caller, gateway: _Gateway) -> Counted:
    """Of what `POST …/runs` with the same body would have the model read. A model that is not loaded stays so."""
    return await _counted(await chats.chat(id), body, chats, key, gateway)


async def _counted(chat: Chat, body: CountBody, chats: Owned, key: Key | None, gateway: Gateway) -> Counted:
    question = await chats.stored(question_of, chats.store, chat, body)
    found = gateway.find(question.model, key)
    info = found.info
    if key is not None and not key.may_use(found.names):
        raise Forbidden(f"The key {key.name!r} may not use {info.name}.", "Ask for one of its models.")
    counted = Counted(
        model=info.name,
        count=None,
        loaded=found.state == "ready",
        context=info.context,
        context_train=info.context_train,
        parts=[],
        exchanges=None,
    )
    request = question.body().to_request()
    if not counted.loaded:
        check_schemas(request.tools)
        return counted
    async with gateway.models.lease(info.name) as model:
        count = partial(gateway.images.count, model, known={})  # an image is counted several times, and fetched once
        try:
            counted.count = await count(request)
        except ModelLacks:  # a remote that tells nobody its tokens
            return counted
        if body.message is not None:
            counted.parts = await parts_of(count, body.message.content)
        if body.exchanges:
            leaf = question.added[0].parent if question.added else question.history[-1].id
            branch = await chats.stored(chats.store.messages.branch, chat.number, leaf)
            counted.exchanges = await exchanges_of(count, info.name, question.settings, branch)
    return counted
