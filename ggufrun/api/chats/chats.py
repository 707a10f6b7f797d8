"""/ggufrun/v1/chats: the chats that the server keeps, each key its own, and the messages in them."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from ggufrun.api.chats.bodies import ChatChanges, NewChat, NewMessage
from ggufrun.api.chats.left_out import settings_with
from ggufrun.api.chats.owned import Chats, Owned, refused
from ggufrun.api.chats.question import parent_of
from ggufrun.api.chats.replies import ChatPage, ChatReply, ChatSummary, Deleted, MessageReply, ready
from ggufrun.api.chats.run import Run
from ggufrun.records.chats import Chat

router = APIRouter(prefix="/ggufrun/v1/chats", tags=["chats"])
_REFUSED = refused(400, 401, 403, 404, 422, 500, 503)
_NEW = refused(400, 401, 403, 413, 422, 500, 503)


@router.get("", summary="List the chats", responses=refused(400, 401, 403, 422, 500, 503))
async def list_chats(
    chats: Chats,
    q: Annotated[str, Query(max_length=500, description="Words that are in the title or in what was said.")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str, Query(max_length=100, description="The `next` of the page before.")] = "",
) -> ChatPage:
    """The newest first."""
    found, following = await chats.stored(chats.store.listed, chats.owner, q, limit, cursor)
    return ChatPage(data=[ChatSummary.of(each) for each in found], next=following or None)


@router.post("", summary="Begin a chat", status_code=201, responses=_NEW)
async def make_chat(body: NewChat, chats: Chats) -> ChatReply:
    """Without a title it is called as its first question begins."""
    settings = body.settings.written()
    chat = await chats.stored(chats.store.create, chats.owner, body.title, body.model, settings)
    return ChatReply.whole(chat, ())


@router.get("/{id}", summary="A chat with its messages", response_model=ChatReply, responses=_REFUSED)
async def read_chat(id: str, chats: Chats) -> Response:
    chat = await chats.chat(id)
    return await chats.stored(_whole, chats, chat, chats.runs.of(chat.number))


@router.patch("/{id}", summary="Change a chat", responses=refused(400, 401, 403, 404, 413, 422, 500, 503))
async def change_chat(id: str, body: ChatChanges, chats: Chats) -> ChatSummary:
    """Its title, model or settings, what is left out, or the branch that it shows."""
    given = {name: getattr(body, name) for name in ("title", "model", "head")}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if body.settings is not None or body.left_out is not None:
        settings = None if body.settings is None else body.settings.written()
        changes["settings"] = partial(settings_with, settings=settings, left_out=body.left_out)
    return ChatSummary.of(await chats.stored(chats.store.change, chats.owner, id, changes))


@router.delete("/{id}", summary="Delete a chat", responses=_REFUSED)
async def delete_chat(id: str, chats: Chats) -> Deleted:
    """For good, with all its branches; an answer that is under way ends."""
    chat = await chats.chat(id)
    await chats.runs.stop(chat.number)
    await chats.stored(chats.store.delete, chats.owner, id)
    return Deleted(id=id)


@router.post(
    "/{id}/messages",
    summary="Add a message",
    status_code=201,
    responses=refused(400, 401, 403, 404, 413, 422, 500, 503),
)
async def add_message(id: str, body: NewMessage, chats: Chats) -> MessageReply:
    """It is not answered: a run does that. To edit a message is to add one beside it."""
    chat = await chats.chat(id)
    parent = await chats.stored(parent_of, chats.store, chat, body)
    message = body.message(parent)
    await chats.stored(chats.store.messages.add, chat.number, message)
    return MessageReply.of(message)


def _whole(chats: Owned, chat: Chat, run: Run | None) -> Response:
    """With the run that has not begun to answer yet, too."""
    reply = ChatReply.whole(chat, chats.store.messages.all(chat.number))
    return ready(reply if run is None else reply.model_copy(update={"run": run.id}))
