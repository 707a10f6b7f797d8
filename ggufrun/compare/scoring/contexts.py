"""The model of a scoring process, loaded once, and contexts over it as its jobs need them, one at a time"""

from dataclasses import replace
from typing import Self

from ggufrun.compare.scoring.decoding import clear
from ggufrun.llama.backend import LlamaBackend
from ggufrun.llama.context import ContextPlan
from ggufrun.settings import EngineSettings, ModelSettings

ROWS = 512  # of one batch, where a job does not say otherwise
_CELLS = 256  # llama.cpp gives a sequence of its own a multiple of so many


class Contexts:
    """A context as the server would have it, and larger ones where a job does not fit into that."""

    def __init__(self, backend: LlamaBackend) -> None:
        self.backend = backend
        self.plan: ContextPlan = backend.plan
        self._is_open = True

    @classmethod
    def load(cls, settings: ModelSettings) -> Self:
        """Raises ModelFileError, OptionError or OutOfMemory."""
        return cls(LlamaBackend.load(settings, EngineSettings(batch=ROWS)))

    @property
    def threads(self) -> int:
        return self.plan.threads

    def empty(
        self, cells: int, *, sequences: int = 1, batch: int = ROWS, other_attention: bool = False, apart: bool = False
    ) -> LlamaBackend:
        """An empty context with room for so much. Raises OutOfMemory or OptionError.

        `apart`: `cells` for each of the sequences, which share nothing: of one cache every row looks at all cells.
        """
        plan = self.plan.other_attention() if other_attention else self.plan
        context = sequences * padded(cells) if apart else max(self.plan.context, cells)
        rows = min(max(batch, sequences), context)
        wanted = replace(
            plan,
            context=context,
            # a batch must have room for a row of each
            sequences=sequences if apart else max(min(plan.sequences, rows), sequences),
            unified=not apart,
            batch=rows,
            ubatch=min(plan.ubatch, rows),
        )
        if not self._is_open or wanted != self.backend.plan:
            self._is_open = False
            self.backend.reopen(wanted)
            self._is_open = True
        clear(self.backend)
        return self.backend

    def close(self) -> None:
        self.backend.close()


def padded(cells: int) -> int:
    """What a sequence with cells of its own takes."""
    return -(-cells // _CELLS) * _CELLS
