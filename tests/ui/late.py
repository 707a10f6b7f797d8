"""Requests of the page that reach the server later than what it asks for afterwards."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from playwright.sync_api import Page, Request, Route

from tests.ui.browser import WAIT_MS

_LOOK_MS: Final = 20
EVENTS: Final = re.compile("/gradio_api/(queue/join|run/)")


@contextmanager
def late(page: Page, kind: re.Pattern[str] = EVENTS, words: str = "") -> Iterator[Callable[[], None]]:
    """What is asked for within this, with these words in it, is held until what it gives is called."""
    held: list[Route] = []
    holds = True

    def is_meant(request: Request) -> bool:
        return kind.search(request.url) is not None and (not words or words in (request.post_data or ""))

    def take(route: Route) -> None:
        if holds and is_meant(route.request):
            held.append(route)
        else:
            route.continue_()

    def arrive() -> None:
        for each in held:
            each.continue_()
        page.unroute(kind)

    page.route(kind, take)
    yield arrive
    for _ in range(WAIT_MS // _LOOK_MS):  # it is known as a request before it is held
        if held:
            break
        page.wait_for_timeout(_LOOK_MS)
    assert held
    holds = False
