"""What the list of chats asks for, from the browser: each a call of the API, and its error as a sentence."""

import json
from collections.abc import Awaitable, Callable
from functools import wraps
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote

import gradio as gr

from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError
from ggufrun.ui.history.filename import file_name
from ggufrun.ui.users import Users

Asked = dict[str, Any]  # what the browser sends
Told = dict[str, Any]
Function = Callable[[Asked, gr.Request], Awaitable[Told]]
CHATS: Final = "/ggufrun/v1/chats"
MOST: Final = 5000  # entries of the list
_PAGE: Final = 200  # the most that the API lists at once
_LONGEST_QUERY: Final = 500
_ENDINGS: Final = {"markdown": "md", "json": "json"}


def desk(users: Users) -> list[Function]:
    """The functions, under the names that the script calls them by."""

    async def listed(asked: Asked, request: gr.Request) -> Told:
        """Nothing but `same` while it is what the browser knows already (`mark`)."""
        api = users.api(request)
        query, open = str(asked.get("query", ""))[:_LONGEST_QUERY], str(asked.get("open", ""))
        most = asked.get("most")
        chats, more = await _found(api, query, min(most, MOST) if isinstance(most, int) else _PAGE)
        gone = bool(open) and all(chat["id"] != open for chat in chats) and not await _is_there(api, open)
        told = {"chats": chats, "more": more, "gone": gone}
        mark = sha256(json.dumps(told).encode()).hexdigest()
        return {"same": True} if mark == asked.get("mark") else {**told, "mark": mark}

    async def renamed(asked: Asked, request: gr.Request) -> Told:
        return _entry(await users.api(request).patch(_path(asked), {"title": str(asked.get("title", "")).strip()}))

    async def deleted(asked: Asked, request: gr.Request) -> Told:
        try:
            await users.api(request).delete(_path(asked))
        except ApiError as error:
            if error.status != 404:  # another tab was faster
                raise
        return {}

    async def exported(asked: Asked, request: gr.Request) -> Told:
        api, format = users.api(request), "markdown" if asked.get("format") == "markdown" else "json"
        text = await api.text(f"{_path(asked)}/export", format=format)
        title = (await api.patch(_path(asked), {}))["title"]
        return {"name": file_name(title, _ENDINGS[format]), "text": text}

    async def imported(asked: Asked, request: gr.Request) -> Told:
        try:
            chat = json.loads(str(asked.get("text", "")))
        except (ValueError, RecursionError) as error:
            raise ApiError("It is no JSON. Choose a file that was exported here as JSON.", 400) from error
        return _entry(await users.api(request).post(f"{CHATS}/import", chat))

    return [_as_words(each) for each in (listed, renamed, deleted, exported, imported)]


def _as_words(function: Function) -> Function:
    @wraps(function)
    async def told(asked: Asked, request: gr.Request) -> Told:
        try:
            return await function(asked, request)
        except ApiError as error:
            return {"error": str(error)}

    return told


async def _found(api: Api, query: str, most: int) -> tuple[list[Told], bool]:
    """The newest, and whether there are more."""
    chats: list[Told] = []
    cursor: str | None = None
    while len(chats) < most:
        page = await api.get(CHATS, q=query or None, limit=min(_PAGE, most - len(chats)), cursor=cursor)
        chats += [_entry(chat) for chat in page["data"]]
        cursor = page["next"]
        if cursor is None:
            break
    return chats, cursor is not None


def _entry(chat: Told) -> Told:
    return {"id": chat["id"], "title": chat["title"], "updated": chat["updated"], "running": chat["run"] is not None}


async def _is_there(api: Api, chat: str) -> bool:
    """To change nothing in a chat tells whether it is there, without all that was said in it."""
    try:
        await api.patch(_path({"id": chat}), {})
    except ApiError as error:
        return error.status != 404
    return True


def _path(asked: Asked) -> str:
    return f"{CHATS}/{quote(str(asked.get('id', '')), safe='')}"
