"""Resizes pictures as mistral-common does: bicubic, a = -0.75, without antialiasing: OpenCV's INTER_CUBIC.

The same to a rounding: OpenCV gives floats, and llama.cpp takes whole numbers.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Rows = Callable[[int, int], npt.NDArray[np.uint8]]

_A: Final = -0.75
_BAND: Final = 32  # rows that are made at once: as many at most
_GIVEN: Final = 4_000_000  # pixels of the picture that they are made of, or one row's
_Floats = npt.NDArray[np.float32]


def resized(rows: Rows, size: tuple[int, int], to: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """uint8 [height, width, channels] of the size `to`; both sizes are (width, height).

    `rows(first, last)` gives the picture's rows from `first` up to before `last`, as such an array.
    """
    if size == to:
        return rows(0, size[1])
    columns, column_weights = _taps(size[0], to[0])
    lines, line_weights = _taps(size[1], to[1])
    bands = []
    band = min(_BAND, max(1, int(_GIVEN / (size[0] * max(1.0, size[1] / to[1])))))
    for start in range(0, to[1], band):
        wanted, weights = lines[start : start + band], line_weights[start : start + band]
        first = int(wanted.min())
        given = rows(first, int(wanted.max()) + 1)
        down = _weighed(given, wanted - first, weights[:, :, None, None])
        across = _weighed(down.swapaxes(0, 1), columns, column_weights[:, :, None, None]).swapaxes(0, 1)
        bands.append(np.clip(np.rint(across), 0, 255).astype(np.uint8))
    return np.concatenate(bands)


def _weighed(given: npt.NDArray[Any], taps: npt.NDArray[np.intp], weights: _Floats) -> _Floats:
    """The sums of four lines each: float32 [taps, ...]."""
    total = given[taps[:, 0]] * weights[:, 0]
    for tap in range(1, 4):
        total += given[taps[:, tap]] * weights[:, tap]
    return total


def _taps(size: int, to: int) -> tuple[npt.NDArray[np.intp], _Floats]:
    """For each line of the result, the four of the picture that it is made of, [to, 4], and their weights.

    The lines at the edges stand for those beyond them.
    """
    centers = (np.arange(to) + 0.5) * (size / to) - 0.5
    before = np.floor(centers)
    x = centers - before
    weights = np.stack([_far(1 + x), _near(x), _near(1 - x), _far(2 - x)], axis=1)
    lines = before.astype(np.intp)[:, None] + np.arange(-1, 3)
    return np.clip(lines, 0, size - 1), weights.astype(np.float32)


def _near(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Keys' kernel up to a distance of 1."""
    weights: npt.NDArray[np.float64] = ((_A + 2) * x - (_A + 3)) * x * x + 1
    return weights


def _far(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Keys' kernel from a distance of 1 to 2."""
    weights: npt.NDArray[np.float64] = ((_A * x - 5 * _A) * x + 8 * _A) * x - 4 * _A
    return weights
