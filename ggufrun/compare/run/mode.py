"""How much is measured: --quick, the default, and --full"""

from dataclasses import dataclass
from typing import Final, Literal

ModeName = Literal["quick", "default", "full"]


@dataclass(frozen=True, slots=True)
class Mode:
    name: ModeName
    chunks: int  # of 512 tokens of text, at most
    prompts: int
    tokens: int  # of an answer, at most
    repetitions: int  # of a speed
    depths: tuple[int, ...]  # tokens before what is timed
    tasks: tuple[str, ...]  # that belong to it
    calls: int = 200  # questions of the task tools, each asked twice: with fewer it says that they are too few
    needles: int = 240  # some of which the reference does not find
    needle_tokens: int = 2048  # of the longest text with a needle in it, where --context asks for no other length


MODES: Final = {
    mode.name: mode
    for mode in (
        Mode("quick", 8, 4, 64, 3, (0,), (), calls=16, needles=36, needle_tokens=1024),
        Mode("default", 40, 12, 128, 5, (0, 1024), ()),
        Mode("full", 200, 24, 256, 5, (0, 1024, 4096), ("tools", "choices", "needle"), needle_tokens=4096),
    )
}
