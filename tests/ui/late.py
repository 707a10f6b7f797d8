"""Requests of the page that reach the server later than what it asks for afterwards."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from playwright.sync_api import Page, Route

EVENTS: Final = re.compile("/gradio_api/(queue/join|run/)")
UPLOADS: Final = re.compile("/gradio_api/upload")


@contextmanager
def late(page: Page, kind: re.Pattern[str] = EVENTS) -> Iterator[Callable[[], None]]:
    """What is asked for within this is held, until what it gives is called."""
    held: list[Route] = []
    holds = True

    def take(route: Route) -> None:
        if holds:
            held.append(route)
        else:
            route.continue_()

    def arrive() -> None:
        for each in held:
            each.continue_()
        page.unroute(kind)

    page.route(kind, take)
    with page.expect_request(kind):
        yield arrive
    holds = False
