"""How much attached files add to a question, by model: they are not sent and counted anew while one types."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ggufrun.ui.ask.attached import Attached, Key

_MOST_KEPT: Final = 64
_NEAR: Final = 0.02  # of the context: nearer to its end, what a sum may be off by would decide
_NEAR_LEAST: Final = 16  # tokens


@dataclass(frozen=True, slots=True)
class Added:
    """`more`: by how many tokens the question is longer with the files. `parts`: what each is counted as alone.

    `of`: what was counted so, whose count is exact.
    """

    more: int
    parts: Sequence[int | None]
    of: object = None

    def decides(self, count: int, context: int) -> bool:
        """Whether a count with these files has to be exact, because the context is nearly full or just so."""
        return abs(context - count - self.more) <= max(_NEAR_LEAST, _NEAR * context)


class KnownFiles:
    """For the event loop's thread."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, bool, tuple[Key, ...]], Added] = OrderedDict()

    def of(self, model: str, files: Sequence[Attached], *, beside_text: bool) -> Added | None:
        return self._kept.get(_place(model, files, beside_text))

    def put(self, model: str, files: Sequence[Attached], added: Added, *, beside_text: bool) -> None:
        self._kept[_place(model, files, beside_text)] = added
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)


def _place(model: str, files: Sequence[Attached], beside_text: bool) -> tuple[str, bool, tuple[Key, ...]]:
    return model, beside_text, tuple(each.key for each in files)
