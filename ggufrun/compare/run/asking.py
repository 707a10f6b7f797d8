"""A row's model as the product has it, a chat model with its engine in a process of its own, for what needs one"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from ggufrun.chat.types import ChatModel
from ggufrun.compare.run.child import Stopped
from ggufrun.opening.loading import open_model
from ggufrun.settings import EngineSettings, ModelOverrides, ModelSettings

_POLL_S: Final = 0.2  # how soon a wish to stop is heard
_KNOBS: Final = tuple(ModelOverrides.__annotations__)
_PLAIN: Final = ModelOverrides(loras=(), mmproj="none")  # nothing of the kind was scored, either

_T = TypeVar("_T")


def ask(
    settings: ModelSettings,
    engine: EngineSettings,
    work: Callable[[ChatModel], Awaitable[_T]],
    is_stopped: Callable[[], bool],
) -> _T:
    """What comes of `work`. Raises Stopped, and GgufrunError where the model does not load or its engine ends."""
    return asyncio.run(_unless_stopped(_with_model(settings, engine, work), is_stopped))


async def _with_model(
    settings: ModelSettings, engine: EngineSettings, work: Callable[[ChatModel], Awaitable[_T]]
) -> _T:
    given: Any = {name: getattr(settings, name) for name in _KNOBS}  # also what is None: ggufrun.toml is asked no more
    async with open_model(str(settings.path), {**given, **_PLAIN}, engine) as model:
        return await work(model)


async def _unless_stopped(work: Awaitable[_T], is_stopped: Callable[[], bool]) -> _T:
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait([task], timeout=_POLL_S)
            if is_stopped():
                raise Stopped
        return task.result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(task, return_exceptions=True)
