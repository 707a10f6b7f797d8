"""The time to the first token as a user has it: through a chat model, its engine in its own process"""

import contextlib
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final

from ggufrun.chat.types import ChatModel, ChatOptions, ChatRequest, Message, PromptProcessed, Started
from ggufrun.compare.run.asking import ask
from ggufrun.compare.run.found import read_json
from ggufrun.compare.scoring.archive import write_json
from ggufrun.compare.texts.source import Prompt
from ggufrun.errors import RequestError
from ggufrun.settings import EngineSettings, ModelSettings

_TIMES: Final = 6  # prompts: the first one warms up, and an interval needs five
_ANSWER: Final = 4  # tokens
_ENGINE: Final = EngineSettings(parallel=1, share_prefixes=False, cached_sequences=0)


def time_first_tokens(
    settings: ModelSettings, prompts: Sequence[Prompt], out: Path, is_stopped: Callable[[], bool]
) -> None:
    """`out`: JSON, the seconds of each prompt but the first. Raises what `ask` does."""

    async def times(model: ChatModel) -> list[float]:
        found = []
        for prompt in prompts[:_TIMES]:
            with contextlib.suppress(RequestError):  # one that this model cannot be asked
                found.append(await _time(model, prompt))
        return found[1:]

    write_json(out, {"seconds": ask(settings, _ENGINE, times, is_stopped)})


def read_seconds(path: Path) -> list[float]:
    """What was written to `out`. Raises what reading JSON does, LookupError, TypeError and ValueError."""
    return [float(seconds) for seconds in read_json(path)["seconds"]]


async def _time(model: ChatModel, prompt: Prompt) -> float:
    messages = tuple(Message.model_validate({"role": role, "content": text}) for role, text in prompt.messages)
    options = ChatOptions(temperature=0.0, seed=0, max_tokens=_ANSWER)
    request = ChatRequest(messages, options, default_system=False)  # the same tokens whatever ggufrun.toml says
    began = time.perf_counter()
    async with aclosing(model.complete(request)) as events:
        async for event in events:
            if not isinstance(event, Started | PromptProcessed):
                break
    return time.perf_counter() - began
