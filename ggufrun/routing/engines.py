"""What a shadow may ask about the engines that it shares with everybody. Implemented where they are served."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from ggufrun.chat.types import ChatModel


class Engines(Protocol):
    """By the names that routes have for them."""

    def lease(self, engine: str) -> AbstractAsyncContextManager[ChatModel]: ...

    def served(self, engine: str) -> str:
        """The name that it is served under, of which a route may have an alias."""

    def spare(self, engine: str) -> bool:
        """Whether it may be asked now without anybody's loss."""

    def in_the_way(self, engine: str) -> bool:
        """Whether it has a place, and somebody waits for one."""
