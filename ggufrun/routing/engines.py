"""What a shadow may ask about the engines that it shares with everybody. Implemented where they are served."""

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol

from ggufrun.chat.types import ChatModel


class Engines(Protocol):
    """By the names that routes have for them."""

    def borrow(self, engine: str) -> AbstractAsyncContextManager[ChatModel]:
        """It, loaded if need be, for who puts nobody out: its place may be another's who borrows, nobody else's."""

    def wish(self, engine: str, since: float) -> AbstractContextManager[None]:
        """To be held while something waits for it, the first of it `since` then (monotonic seconds).

        Shadows have turns in a place that cannot hold the engines of all.
        """

    def served(self, engine: str) -> str:
        """The name that it is served under, of which a route may have an alias."""

    def spare(self, engine: str) -> bool:
        """Whether it may be asked now without anybody's loss."""

    def in_the_way(self, engine: str) -> bool:
        """Whether it has a place, and somebody waits for one."""
