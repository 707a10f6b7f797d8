"""A file and the quants that are made of it, as values: what is asked for, what it will be, what became of it"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from ggufrun.quantizing.kinds import Kind
from ggufrun.weights.header import Header
from ggufrun.weights.quants import quant_of

_PLAIN: Final = {"F32", "F16", "BF16", "F64"}


class State(StrEnum):
    PLANNED = "planned"
    KEPT = "kept"  # it was there before, and nothing was looked at but its name
    MADE = "made"


@dataclass(frozen=True, slots=True)
class Source:
    """`headers` of all its files, in order; `stem`: what the files made of it are called, without their quant."""

    headers: tuple[Header, ...]
    stem: str

    @property
    def path(self) -> Path:
        """The file to give to llama.cpp, which finds the others of a split set itself."""
        return self.headers[0].path

    @property
    def quant(self) -> str:
        return quant_of(self.path, self.headers[0])

    @property
    def bytes(self) -> int:
        return sum(header.file_size for header in self.headers)

    @property
    def parameters(self) -> int:
        return sum(header.parameters for header in self.headers)

    @property
    def is_quantized(self) -> bool:
        """Whether some of its weights have lost bits already."""
        return any(tensor.type_name not in _PLAIN for header in self.headers for tensor in header.tensors)


@dataclass(frozen=True, slots=True)
class Rung:
    """One file of the ladder."""

    kind: Kind
    path: Path
    state: State
    bytes: int
    weights: int  # bytes of its tensors
    tensors: int
    fallbacks: Mapping[str, int]  # by type: tensors that get it because their rows are no multiple of a block
    needs_imatrix: bool = False
    seconds: float | None = None  # that it took to make

    @property
    def fell_back(self) -> int:
        return sum(self.fallbacks.values())
