"""Resizing against the formula, pixel by pixel in double precision."""

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ggufrun.chat.resize import resized

Image = npt.NDArray[np.uint8]


def _kernel(x: float, a: float = -0.75) -> float:
    """Keys' cubic convolution, https://ieeexplore.ieee.org/document/1163711."""
    x = abs(x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def _weights(size: int, to: int) -> npt.NDArray[np.float64]:
    """[to, size]: what each line of the result has of each of the picture."""
    matrix = np.zeros((to, size))
    for line in range(to):
        center = (line + 0.5) * size / to - 0.5
        for near in range(int(np.floor(center)) - 1, int(np.floor(center)) + 3):
            matrix[line, min(max(near, 0), size - 1)] += _kernel(center - near)
    return matrix


def _reference(image: Image, to: tuple[int, int]) -> npt.NDArray[np.float64]:
    down, across = _weights(image.shape[0], to[1]), _weights(image.shape[1], to[0])
    exact: npt.NDArray[np.float64] = np.einsum("ij,jkc,lk->ilc", down, image.astype(np.float64), across, optimize=True)
    return exact


def _rows(image: Image, first: int, last: int) -> Image:
    return image[first:last]


def _resized(image: Image, to: tuple[int, int]) -> Image:
    return resized(partial(_rows, image), (image.shape[1], image.shape[0]), to)


@pytest.mark.parametrize(
    ("size", "to"),
    [
        *(((64, 48), (84, 56)), ((200, 150), (84, 56)), ((5, 300), (28, 140)), ((300, 5), (140, 28))),
        *(((1, 1), (28, 28)), ((97, 131), (112, 140)), ((2, 3), (28, 56)), ((333, 77), (28, 84))),
    ],
)
def test_every_pixel_is_what_the_formula_gives(size: tuple[int, int], to: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    made, exact = _resized(image, to), np.clip(_reference(image, to), 0, 255)
    assert made.shape == (to[1], to[0], 3)
    assert np.abs(made - exact).max() <= 0.501  # half of a step, and what float32 rounds


def test_a_picture_of_the_right_size_stays_as_it_is() -> None:
    image = np.random.default_rng(2).integers(0, 256, (56, 84, 3), dtype=np.uint8)
    assert (_resized(image, (84, 56)) == image).all()


def test_only_the_rows_that_are_needed_are_asked_for() -> None:
    """So that a large picture is never there twice."""
    asked: list[int] = []

    def rows(first: int, last: int) -> Any:
        asked.append((last - first) * width)
        return np.zeros((last - first, width, 3), dtype=np.uint8)

    for width, height, to in ((8, 4000, (28, 1540)), (65_535, 1220, (1540, 56)), (8900, 8900, (1540, 1540))):
        asked.clear()
        resized(rows, (width, height), to)
        assert max(asked) < min(width * height / 20, 5_000_000)
