"""The way to the page: who may see it is asked as soon as the server runs, long before Gradio is there."""

from collections.abc import Callable

from starlette.types import ASGIApp

from ggufrun.ui.client import Server
from ggufrun.ui.first import First
from ggufrun.ui.gate import Gate
from ggufrun.ui.headers import PageHeaders


class Entrance:
    """Asked in this order: what browsers may do, who may see the page, and whether it is there."""

    def __init__(
        self, page: ASGIApp, server: Server, *, is_settled: Callable[[], bool], always_login: bool = False
    ) -> None:
        """`page`: waits until it is there. `is_settled`: it is there, or cannot be."""
        self.server = server
        gate = Gate(First(page, is_settled), server, always=always_login)
        self.key_of = gate.sessions.key_of
        self.app = PageHeaders(gate)
