"""What a GGUF's quantization is called: llama.cpp's name of its file type, or a finer one in the file's name."""

import re
from collections import Counter
from pathlib import Path, PurePath
from typing import Final

from ggufrun.weights.folders import shard_of
from ggufrun.weights.ggml_types import TENSOR_TYPES
from ggufrun.weights.header import Header

# llama.h's enum llama_ftype, without its prefixes. Numbers that are missing were given up.
_RUNS: Final = (
    (0, "F32 F16 Q4_0 Q4_1"),
    (7, "Q8_0 Q5_0 Q5_1 Q2_K Q3_K_S Q3_K_M Q3_K_L Q4_K_S Q4_K_M Q5_K_S Q5_K_M Q6_K"),
    (19, "IQ2_XXS IQ2_XS Q2_K_S IQ3_XS IQ3_XXS IQ1_S IQ4_NL IQ3_S IQ3_M IQ2_S IQ2_M IQ4_XS IQ1_M BF16"),
    (36, "TQ1_0 TQ2_0 MXFP4_MOE NVFP4 Q1_0 Q2_0"),
)
FILE_TYPES: Final = {first + at: name for first, names in _RUNS for at, name in enumerate(names.split())}
_GUESSED: Final = 1024  # a bit beside the file type: llama.cpp worked it out itself
_LABEL: Final = re.compile(
    r"(?<![A-Za-z0-9])"
    r"((?:UD-)?[IT]?Q\d(?:_(?:K|\d|NL|[SML]|X{1,2}[SL]))+|MXFP4(?:_MOE)?|NVFP4|BF16|F16|F32)"
    r"(?![A-Za-z0-9_])",
    re.IGNORECASE,
)


def quant_of(path: Path, header: Header) -> str:
    """`Q4_K_M`, `UD-Q4_K_XL`, `BF16`, …; "" where neither the file nor its name says.

    The header's file type counts. The name wins where it says what no file type can: mixes such as UD-Q4_K_XL are
    marked in the header as the type that they are nearest to.
    """
    file_type = header.integer("general.file_type")
    told = FILE_TYPES.get(file_type & ~_GUESSED) if file_type is not None else None
    named = label_of(path)
    if named and named not in FILE_TYPES.values():
        return named
    return told or named or _most_used(header)


def label_of(path: PurePath) -> str:
    """The last part of a file's name that looks like a quant, in capitals; "" where none does."""
    shard = shard_of(path)
    found = _LABEL.findall(shard.stem if shard else path.stem)
    return str(found[-1]).upper() if found else ""


def _most_used(header: Header) -> str:
    """The type that holds most of the weights."""
    elements: Counter[int] = Counter()
    for tensor in header.tensors:
        elements[int(tensor.type)] += tensor.elements
    known = TENSOR_TYPES.get(elements.most_common(1)[0][0]) if elements else None
    return known.name if known else ""
