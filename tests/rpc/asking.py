"""Questions to a model that is shared with another machine, and what becomes of them.

`python -m tests.rpc.asking FILE [HOST:PORT]` prints an answer, or what is wrong: for other network namespaces.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from ggufrun.chat.types import ChatModel, ChatOptions, ChatRequest, Message, TextDelta
from ggufrun.errors import EngineError, GgufrunError
from ggufrun.opening import starting
from ggufrun.opening.loading import open_model
from ggufrun.settings import EngineSettings, ModelOverrides
from tests.rpc.plain import FACTORY

WAIT_S: Final = 90
SAME: Final = ModelOverrides(context=2048, threads=1, flash_attention="on")
QUESTIONS: Final = ("Name three rivers of Europe.", "What is 7 times 8? Explain.", "Write a sentence about the sea.")
ENGINE: Final = EngineSettings(parallel=2, disk_cache=None)


@asynccontextmanager
async def opened(path: Path, overrides: ModelOverrides) -> AsyncIterator[ChatModel]:
    async with asyncio.timeout(WAIT_S):
        context = open_model(str(path), overrides, ENGINE)
        model = await context.__aenter__()
    try:
        yield model
    finally:
        await context.__aexit__(None, None, None)


def asked(text: str, tokens: int) -> ChatRequest:
    options = ChatOptions(temperature=0.0, max_tokens=tokens, min_tokens=tokens)
    return ChatRequest((Message(role="user", content=text),), options)


async def answer(model: ChatModel, text: str, tokens: int = 24) -> str:
    async with asyncio.timeout(WAIT_S):
        events = [event async for event in model.complete(asked(text, tokens))]
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def broken(model: ChatModel, breaks: Callable[[], None]) -> EngineError:
    """What an answer ends with where `breaks` is called in the middle of it."""
    done = False
    async with asyncio.timeout(WAIT_S):
        try:
            async for event in model.complete(asked("Count.", 1500)):
                if isinstance(event, TextDelta) and not done:
                    breaks()
                    done = True
        except EngineError as error:
            return error
    raise AssertionError("the answer came to its end")


async def recovered(model: ChatModel) -> list[EngineError]:
    """Asks until there is an answer; the refusals on the way."""
    refusals: list[EngineError] = []
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                await answer(model, "Hello", 2)
                return refusals
            except EngineError as error:
                refusals.append(error)
                await asyncio.sleep(0.2)


async def main(path: Path, workers: tuple[str, ...]) -> None:
    vars(starting)["FACTORY"] = FACTORY
    try:
        async with opened(path, {**SAME, "rpc": workers} if workers else SAME) as model:
            print(await answer(model, QUESTIONS[0]))
    except GgufrunError as error:
        print(error)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), tuple(sys.argv[2:])))
