"""Whose chats a request is about, and how the routes of chats document what they refuse."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, ParamSpec, TypeVar

from fastapi import Depends, Request

from ggufrun.api.calls.call import Caller
from ggufrun.api.chats.runs import Runs
from ggufrun.api.docs import Responses, errors, example
from ggufrun.api.errors import error_body
from ggufrun.api.gateway import gateway_of
from ggufrun.api.manage.control import LOCAL_KEY
from ggufrun.errors import ChatBusy, ChatNotFound, OptionError
from ggufrun.records.chats import Chat, ChatStore

P = ParamSpec("P")
T = TypeVar("T")
ID: Final = "3f1e0d1c9a8b4c5d8e7f6a5b4c3d2e1f"  # of the examples


@dataclass(frozen=True, slots=True)
class Owned:
    """The chats of one owner: of a key's name, not of the key. One made anew under a name has its chats."""

    store: ChatStore
    runs: Runs
    owner: str

    async def chat(self, id: str) -> Chat:
        """Raises ChatNotFound, also for another owner's."""
        return await self.stored(self.store.get, self.owner, id)

    async def stored(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the store says; it may have to wait for another process, so a thread asks it."""
        return await asyncio.to_thread(work, *args, **kwargs)


async def owned(request: Request, key: Caller) -> Owned:
    """The dependency of every route of chats. Raises OptionError where the server keeps none."""
    gateway = gateway_of(request)
    if gateway.chats is None:
        raise OptionError("This server keeps no chats.", "Start it with `ggufrun serve`.")
    return Owned(gateway.chats, gateway.runs, "" if key is None or key is LOCAL_KEY else key.name)


Chats = Annotated[Owned, Depends(owned)]


def refused(*statuses: int) -> Responses:
    """`errors`, with what chats mean by some of them."""
    responses = errors(*statuses, example=_example)
    if 409 in responses:
        responses[409]["description"] = "An answer is under way in this chat, or was stopped before it had begun."
    return responses


def _example(status: int) -> dict[str, Any]:
    own: dict[int, Exception] = {404: ChatNotFound("chat", ID), 409: ChatBusy(ID)}
    return error_body(own[status]) if status in own else example(status)
