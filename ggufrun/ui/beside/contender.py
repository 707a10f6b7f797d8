"""One column of a race: which model it is, and what has become of it so far. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Stage = Literal["waiting", "loading", "asked", "thinking", "answering", "done", "stopped", "failed"]
OVER: tuple[Stage, ...] = ("done", "stopped", "failed")


@dataclass(frozen=True, slots=True)
class Contender:
    """`usage` and `timings` are the server's, as the end of its answer has them; {} before."""

    model: str
    stage: Stage = "waiting"
    progress: float = 0.0  # 0 to 1, while it loads
    text: str = ""
    thinking: str = ""
    finish: str = ""  # finish_reason
    error: str = ""
    load_s: float | None = None  # None: it was loaded before, or by the request itself
    memory: int | None = None  # bytes; None: not known
    usage: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return self.stage in OVER


@dataclass(frozen=True, slots=True)
class Standing:
    """A race at one moment. `way`: whether all run at once, and why."""

    way: str
    contenders: tuple[Contender, ...]
    over: bool = False
