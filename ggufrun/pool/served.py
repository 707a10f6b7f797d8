"""The models that are served, as the routes see them. Loading and unloading several is `ggufrun.pool`'s."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

from ggufrun.chat.types import ChatModel, ModelInfo
from ggufrun.errors import OptionError

# waiting: for a place, before it is loaded; unloading: once the requests that it answers have ended
State = Literal["unloaded", "waiting", "loading", "ready", "unloading", "failed"]


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One model that requests may name. `info` is what its file and card say until it is loaded, then the engine's."""

    info: ModelInfo
    state: State = "ready"
    progress: float = 1.0  # 0 to 1 while it loads
    error: str = ""  # why it could not be loaded
    active: int = 0  # requests that it answers now
    idle_s: float | None = None  # seconds since the last one; None: never used
    ttl_s: float | None = None  # it is unloaded after so many idle seconds; None: never
    path: str = ""  # the file, with all its folders; "": not known

    @property
    def names(self) -> tuple[str, ...]:
        return self.info.name, *self.info.aliases


class Models(Protocol):
    """What is served, by name."""

    def served(self) -> Sequence[ServedModel]:
        """All of them, in the order of the command line."""

    def lease(self, name: str) -> AbstractAsyncContextManager[ChatModel]:
        """The model called exactly `name` (`ModelInfo.name`), loaded if need be, and kept while the lease is held.

        Raises ModelLoading (with the seconds after which to try again) where loading takes too long, InputError where
        the model cannot be loaded.
        """

    async def load(self, name: str, *, wait: bool = True) -> None:
        """Load it now. With `wait` it returns when the model is loaded, however long that takes.

        Raises what `lease` raises, ModelLoading excepted.
        """

    async def unload(self, name: str, *, wait: bool = True) -> None:
        """Give its memory back once the requests that it answers have ended. With `wait` it returns then."""

    async def add(self, spec: str, name: str = "") -> str:
        """Serve one more, which is not loaded yet; what `ggufrun serve` takes. Returns its name, `name` if given.

        Raises InputError for what cannot be served, OptionError where another has a name of it.
        """

    async def remove(self, name: str) -> None:
        """Serve it no more. Requests that it answers are not cut; it returns when its memory is free."""


class OneModel:
    """`Models` of a single model that somebody else opened and closes."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model
        self._active = 0

    def served(self) -> Sequence[ServedModel]:
        return (ServedModel(self._model.info, active=self._active),)

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[ChatModel]:
        self._active += 1
        try:
            yield self._model
        finally:
            self._active -= 1

    async def load(self, name: str, *, wait: bool = True) -> None:
        return None

    async def unload(self, name: str, *, wait: bool = True) -> None:
        raise OptionError("This model is served alone and stays loaded.", "Stop the server instead.")

    async def add(self, spec: str, name: str = "") -> str:
        raise OptionError("This server serves one model.", "Start it with `ggufrun serve`.")

    async def remove(self, name: str) -> None:
        raise OptionError("This model is served alone and stays loaded.", "Stop the server instead.")
