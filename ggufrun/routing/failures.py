"""The engines of a route that could not answer one request, and the error where none could."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from ggufrun.chat.types import ChatModel
from ggufrun.errors import CannotLoad, GgufrunError, ModelFileError, OptionError, OutOfMemory
from ggufrun.routing.reasons import cannot

Lease = Callable[[str], AbstractAsyncContextManager[ChatModel]]


@asynccontextmanager
async def leased(lease: Lease, engine: str) -> AsyncIterator[ChatModel]:
    """The engine, for as long as this is held. Why it cannot be loaded is for the server's user, not for who asks."""
    async with AsyncExitStack() as stack:
        try:
            model = await stack.enter_async_context(lease(engine))
        except (ModelFileError, OutOfMemory, OptionError) as error:
            raise CannotLoad(engine) from error
        yield model


class Failures:
    """In the order in which they were asked."""

    def __init__(self, *, fallback: bool) -> None:
        self._fallback = fallback
        self._errors: list[GgufrunError] = []
        self.reasons: list[str] = []  # "small is overloaded"

    def note(self, engine: str, error: GgufrunError, *, kept: bool = False) -> None:
        """Raises the error again where no other engine is to be asked.

        `kept`: there is an answer already, so what this engine refuses cannot be all wrong.
        """
        words = (cannot(error) or ("refuses it" if kept else "")) if self._fallback else ""
        if not words:
            raise error
        self._errors.append(error)
        self.reasons.append(f"{engine} {words}")

    def error(self) -> GgufrunError:
        """The first one. Where there are more, its hint names all that were asked."""
        first = self._errors[0]
        if len(self._errors) == 1:
            return first
        # A copy: the error of a load is raised for all who wait for it. The classes' constructors take other things.
        told = type(first).__new__(type(first))
        told.__dict__.update(first.__dict__)
        told.args = first.args
        told.hint = f"{first.hint} No engine of the route could answer: {', '.join(self.reasons)}.".strip()
        told.__cause__ = first
        return told
