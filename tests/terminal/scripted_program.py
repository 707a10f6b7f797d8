"""The whole `ggufrun` program with a scripted model in place of a GGUF, for tests that need a process and a terminal.

usage: python -m tests.terminal.scripted_program ARGS…   The prompt decides the answer: see `_reply`.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from ggufrun.chat.types import AnswerSettings, AnyRequest, ChatEvent, ChatModel, ChatRequest, Meter
from ggufrun.cli import main
from ggufrun.commandline import opening
from ggufrun.errors import EngineCrashed, ModelNotFound, PromptTooLong
from ggufrun.settings import EngineOverrides, ModelOverrides
from tests.terminal.scripted import Reply, ScriptedModel


class PromptDriven(ScriptedModel):
    def complete(self, request: AnyRequest, meter: Meter | None = None) -> AsyncGenerator[ChatEvent, None]:
        assert isinstance(request, ChatRequest)
        self.replies = [*self.replies[: len(self.requests)], _reply(request)]
        return super().complete(request)


def _reply(request: ChatRequest) -> Reply:
    text = str(request.messages[-1].content)
    if "slow" in text:
        return Reply(tuple(f"word{n} " for n in range(10_000)), pause=0.02)
    if "silent" in text:
        return Reply(thinking=("hm",), first_pause=60)
    if "crash" in text:
        return Reply(("half",), error=EngineCrashed("signal 9"))
    if "too long" in text:
        return Reply(refusal=PromptTooLong(200, 100))
    if "bug" in text:
        return Reply(refusal=RuntimeError("a bug"))
    if "fill" in text:
        return Reply(used=85)
    if "escape" in text:
        return Reply(("\x1b[31mred\x07",), thinking=("hm",))
    if "long prompt" in text:
        return Reply(prompt_tokens=2048, pause=0.01)
    options, told = request.options, "" if request.default_system else " untold"
    heard = f" temperature={options.temperature} seed={options.seed} n={len(request.messages)}"
    return Reply((f"echo[{text}]", heard + told))


@asynccontextmanager
async def open_scripted(
    model: str,
    overrides: ModelOverrides,
    engine: EngineOverrides,
    chat_template: Path | None,
    on_progress: Callable[[float], None],
    *,
    name: str = "",
    sparing: bool = True,
) -> AsyncIterator[ChatModel]:
    if model != "scripted":
        raise ModelNotFound(model, ["scripted"])
    for step in range(1, 5):
        on_progress(step / 4)
        await asyncio.sleep(0.003)
    yield PromptDriven(defaults=AnswerSettings(seed=7, system="of the settings"))


if __name__ == "__main__":
    opening.open_model = open_scripted
    sys.exit(main())
