"""Tools that agents offer and their hosted API would run itself: web search and the like. None of them runs here.

A model may answer without a tool that it was offered, so beside tools of the agent's own they are left out, and the
log says so. Where there is nothing else, the request is for them: it is refused.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Final, Protocol, TypeVar

from ggufrun.errors import Unsupported

_MOST_WARNINGS: Final = 1000
_log = logging.getLogger(__name__)
_warned: set[str] = set()  # types that the log has named


class _Typed(Protocol):
    @property
    def type(self) -> str | None: ...


T = TypeVar("T", bound=_Typed)


def own_tools(tools: Sequence[T], own: str) -> Iterator[T]:
    """Those of type `own`, which is also the type of those that give none. Raises Unsupported where none is left."""
    foreign = dict.fromkeys(tool.type for tool in tools if tool.type not in (None, own))
    left = [tool for tool in tools if tool.type in (None, own)]
    if foreign and not left:
        hint = "Give the model a tool of your own for it."
        raise Unsupported(f"Tools of type {next(iter(foreign))!r} are not run here.", hint, "tools")
    for name in foreign:
        if name not in _warned and len(_warned) < _MOST_WARNINGS:
            _warned.add(str(name))
            _log.warning("Tools of type %r are not run here: the model was not told of them.", name)
    yield from left
