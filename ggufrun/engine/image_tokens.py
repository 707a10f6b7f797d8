"""The numbers that stand for pictures in the engine's token lists: equal numbers must mean equal content

mistral-common writes the same [IMG] tokens for every picture, so a prefix of one would pass for that of another.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from ggufrun.engine.types import GenerationRequest, Image

_SIGN = np.uint32(1 << 31)


def stand_ins(image: Image) -> list[int]:
    """A negative 32-bit number for each row, as no vocabulary has, made of the picture's key and the row's place.

    The same in every process, since saved prefixes hold them. 31 bits a row tell any two pictures of some rows apart.
    """
    drawn = hashlib.shake_256(image.key.encode()).digest(4 * image.length)
    numbers: list[int] = (np.frombuffer(drawn, "<u4") | _SIGN).view(np.int32).tolist()
    return numbers


def internal(request: GenerationRequest) -> list[int]:
    """The prompt with stand-ins for its pictures' tokens."""
    tokens = list(request.prompt)
    for image in request.images:
        tokens[image.start : image.end] = stand_ins(image)
    return tokens


def ordinary(tokens: Sequence[int]) -> int:
    """How many of the leading tokens are of the vocabulary."""
    return next((i for i, token in enumerate(tokens) if token < 0), len(tokens))


def fault(request: GenerationRequest) -> str | None:
    """Why the request's pictures cannot stand in its prompt, if they cannot."""
    end = 0
    for image in request.images:
        if min(image.width, image.height) < 1 or len(image.pixels) != 3 * image.width * image.height:
            return f"a picture of {image.width} x {image.height} pixels has {len(image.pixels)} bytes"
        if image.start < end or image.length < 1 or image.end >= len(request.prompt):
            return "pictures overlap in the prompt, or nothing stands behind the last one"
        end = image.end
    return None
