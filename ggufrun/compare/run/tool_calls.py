"""The task that needs a chat model: tool calls, written freely and forced by the tools' grammar, one part each"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ggufrun.chat.types import ChatModel
from ggufrun.compare.run.asking import ask
from ggufrun.compare.run.found import read_json
from ggufrun.compare.scoring.archive import write_json
from ggufrun.compare.tasks import tools
from ggufrun.compare.tasks.bfcl import Item
from ggufrun.compare.tasks.outcomes import Outcome, Progress, from_json, to_json
from ggufrun.settings import EngineSettings, ModelSettings

CONTEXT: Final = tools.CONTEXT * tools.AT_ONCE
# What is finished is never asked again, and as long as it is kept every row of the others looks at it.
_ENGINE: Final = EngineSettings(parallel=tools.AT_ONCE, share_prefixes=False, cached_sequences=0)


def call_tools(
    settings: ModelSettings,
    items: Sequence[Item],
    outs: Sequence[tuple[bool, Path]],
    tell: Progress,
    is_stopped: Callable[[], bool],
) -> None:
    """`outs`: whether it is forced, and where the outcomes are kept. `tell`: items done, of so many in all."""
    total = len(items) * len(outs)

    async def work(model: ChatModel) -> None:
        for at, (forced, out) in enumerate(outs):

            def told(done: int, _: int, before: int = at * len(items)) -> None:
                tell(before + done, total)

            found: list[Outcome] = await tools.run(model, items, forced=forced, progress=told)
            write_json(out, {"outcomes": to_json(found)})

    ask(settings, _ENGINE, work, is_stopped)


def read_outcomes(path: Path) -> list[Outcome]:
    """Raises what reading JSON does, LookupError and TypeError for what is none."""
    return from_json(read_json(path)["outcomes"])
