"""/ggufrun/v1/chats/{id}/export and /ggufrun/v1/chats/import: a chat as a file, and such a file as a chat."""

from typing import Any, Final, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from ggufrun.api.chats.bodies import ExportedChat
from ggufrun.api.chats.export import exported, imported, markdown, settings_in, shown_in
from ggufrun.api.chats.owned import Chats, Owned, refused
from ggufrun.api.chats.replies import ChatReply, ready
from ggufrun.records.chats import Chat

router = APIRouter(prefix="/ggufrun/v1/chats", tags=["chats"])
_FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": ExportedChat,
        "description": "JSON, all of it; or Markdown, the branch that is shown.",
        "content": {"text/markdown": {"schema": {"type": "string"}}},
    }
}


@router.get(
    "/{id}/export",
    summary="Export a chat",
    response_class=Response,
    responses={**_FILE, **refused(400, 401, 403, 404, 422, 500, 503)},
)
async def export_chat(id: str, chats: Chats, format: Literal["json", "markdown"] = "json") -> Response:
    return await chats.stored(_export, chats, await chats.chat(id), format)


def _export(chats: Owned, chat: Chat, format: str) -> Response:
    ending = "md" if format == "markdown" else "json"
    headers = {"Content-Disposition": f'attachment; filename="chat-{chat.id}.{ending}"'}
    if format == "markdown":
        branch = chats.store.messages.branch(chat.number, chat.head)
        return Response(markdown(chat, branch), headers=headers, media_type="text/markdown")
    return JSONResponse(exported(chat, chats.store.messages.all(chat.number)), headers=headers)


@router.post(
    "/import",
    summary="Import a chat",
    status_code=201,
    response_model=ChatReply,
    responses=refused(400, 401, 403, 413, 422, 500, 503),
)
async def import_chat(body: ExportedChat, chats: Chats) -> Response:
    """A chat of the caller's own, from the JSON of an export; all ids are new."""
    return await chats.stored(_import, chats, body)


def _import(chats: Owned, body: ExportedChat) -> Response:
    messages = imported(body)
    given = (body.title, body.model, settings_in(body, messages), messages, shown_in(body, messages))
    chat = chats.store.create(chats.owner, *given)
    return ready(ChatReply.whole(chat, messages), 201)
