"""Tools that agents offer and their hosted API would run itself: web search and the like. None of them runs here.

A model may answer without a tool that it was offered, so beside tools of the agent's own they are left out, and the
log says so. Where there is nothing else, the request is for them: it is refused.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

from ggufrun.api.conversation.fields import Named
from ggufrun.errors import Unsupported, cut

_log = logging.getLogger(__name__)
_named = Named()


class _Typed(Protocol):
    @property
    def type(self) -> str | None: ...


T = TypeVar("T", bound=_Typed)


def own_tools(tools: Sequence[T], own: str) -> Iterator[T]:
    """Those of type `own`, which is also the type of those that give none. Raises Unsupported where none is left."""
    foreign = [tool.type for tool in tools if tool.type is not None and tool.type != own]
    left = [tool for tool in tools if tool.type in (None, own)]
    if foreign and not left:
        hint = "Give the model a tool of your own for it."
        raise Unsupported(f"Tools of type {cut(foreign[0])!r} are not run here.", hint, "tools")
    for name in _named.new(foreign):
        _log.warning("Tools of type %a are not run here: the model was not told of them.", name)
    yield from left
