"""Places in an engine's queue for several answers of one request: on the first engine that has them."""

from contextlib import ExitStack
from typing import Self

from ggufrun.chat.types import ChatModel


class Places:
    """For `answers` that are all made by one engine; 0: nothing is reserved. Left like a context."""

    def __init__(self, answers: int = 0, param: str = "n") -> None:
        self._answers, self._param = answers, param
        self._held = ExitStack()
        self._reserved: ChatModel | None = None
        self._on = ""  # the engine that they are reserved on
        self.engine = ""  # the one that answers, once one does; "" for good where nothing is reserved

    def __bool__(self) -> bool:
        return self._answers > 0

    def of(self, engine: str, model: ChatModel) -> ChatModel:
        """The model with its places; those of an engine that could not answer are given back.

        Raises TooManyAtOnce and EngineBusy, as `ChatModel.reserve`.
        """
        if not self._answers:
            return model
        if self._reserved is None or self._on != engine:
            self._held.close()
            self._reserved, self._on = self._held.enter_context(model.reserve(self._answers, self._param)), engine
        return self._reserved

    def settle(self) -> None:
        """The engine that has them now has begun to answer: it makes the other answers, too."""
        self.engine = self._on

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()
