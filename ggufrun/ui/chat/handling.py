"""What all handlers of the chat have in common: how their updates reach the browser, and a tab that is busy."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import wraps
from typing import Any, Final, ParamSpec
from urllib.parse import quote

from ggufrun.ui.chat.seen import Seen
from ggufrun.ui.chat.tab import Tab
from ggufrun.ui.chat.view import Changes, View
from ggufrun.ui.errors import warn

P = ParamSpec("P")
CHATS: Final = "/ggufrun/v1/chats"
Updates = AsyncGenerator[Changes, None]
_BUSY: Final = "An answer is being written here. Stop it first, or wait for its end."
_OPENING: Final = "Another chat is being opened: nothing was changed."
_OTHER: Final = "That chat is not open any more: nothing was changed."
_MOVED: Final = "That chat has gone on meanwhile: nothing was changed. Look at it again."


def path(chat: str, *more: str) -> str:
    """Of a chat in the API; its id may come from an address."""
    return "/".join((CHATS, *(quote(each, safe="") for each in (chat, *more))))


def refuses(tab: Tab, seen: Seen, *, at_end: bool = True) -> bool:
    """Says why. `at_end`: what is wanted depends on where the branch ends."""
    if tab.is_opening:
        warn(_OPENING)
    elif not seen.is_of(tab):
        warn(_OTHER)
    elif tab.is_busy:
        warn(_BUSY)
    elif at_end and not seen.is_end_of(tab):
        has_moved()
    else:
        return False
    return True


def has_moved() -> None:
    warn(_MOVED)


def to_the_end(handler: Callable[P, Updates]) -> Callable[P, Updates]:
    """What Gradio's streams of updates need.

    Its browser side changes an update of properties in place, into the next one, perhaps before it has looked at it: so
    that of the box is in each. What this leaves behind in the end is what the tab is at by then. And the last update
    is sent twice, with None for everything where there was none: it has to be a small one.
    """

    @wraps(handler)
    async def handled(*args: P.args, **kwargs: P.kwargs) -> Updates:
        given: tuple[Any, ...] = (*args, *kwargs.values())
        view: View = given[0].view
        tab = next(each for each in given if isinstance(each, Tab))
        buttons: Changes = {}
        try:
            async with aclosing(handler(*args, **kwargs)) as updates:
                async for update in updates:
                    buttons = {each: value for each, value in {**buttons, **update}.items() if each is view.ask}
                    yield {**buttons, **update}
        except Exception:  # what nobody has thought of: the page is to show what the tab has, before it says so
            yield {**view.whole(tab), **view.settled(tab)}
            raise
        yield view.settled(tab)

    return handled
