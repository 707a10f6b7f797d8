"""What `ggufrun quantize --to` takes: the mixes of types that llama.cpp's quantizer makes, by their names"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ggufrun.errors import OptionError
from ggufrun.validation import nearest
from ggufrun.weights.quants import FILE_TYPES


@dataclass(frozen=True, slots=True)
class Kind:
    """`file_type` is llama.cpp's number (enum llama_ftype)."""

    name: str
    file_type: int


_NOT_MADE: Final = {"NVFP4"}  # read by llama.cpp, and not written
_ALIASES: Final = {"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M", "MXFP4": "MXFP4_MOE"}
KINDS: Final = {name: Kind(name, number) for number, name in FILE_TYPES.items() if name not in _NOT_MADE}


def kinds_of(text: str) -> tuple[Kind, ...]:
    """`Q8_0,q4_k_m`: each once, in the order given. Raises OptionError, which lists all."""
    found: dict[str, Kind] = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        name = word.upper()
        kind = KINDS.get(_ALIASES.get(name, name))
        if kind is None:
            raise _unknown(word)
        found[kind.name] = kind
    if not found:
        raise OptionError("--to names no quant.", f"Give some of {_all()}, with commas between them.")
    return tuple(found.values())


def named(kinds: Sequence[str]) -> str:
    """`IQ1_S`, `IQ1_S and IQ2_XXS`, `A, B and C`."""
    *first, last = kinds
    return f"{', '.join(first)} and {last}" if first else last


def _unknown(word: str) -> OptionError:
    name = word.upper()
    if name.startswith("UD-"):
        told = f"{word!r} is a mix of its maker's own, which llama.cpp's quantizer does not make."
        return OptionError(told, f"Fetch such a file instead (ggufrun pull), or give some of {_all()}.")
    near = nearest(name, list(KINDS))
    meant = f"Did you mean {', '.join(near)}? " if near else ""
    return OptionError(f"llama.cpp's quantizer makes no {word!r}.", f"{meant}There are {_all()}.")


def _all() -> str:
    return ", ".join(KINDS)
