"""The forms in which a vector goes out."""

import base64

import numpy as np
import pytest

from ggufrun.api.text.vectors import OutputType, VectorForm
from ggufrun.errors import OutOfRange

VECTOR = np.array([0.8, -0.4, 0.2, -0.1, 0.05, -0.025, 0.0, 0.38], "<f4")
SENT = VECTOR.tobytes()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("int8", [127, -64, 32, -16, 8, -4, 0, 60]),
        ("uint8", [255, 64, 160, 112, 136, 124, 128, 188]),
        ("ubinary", [0b10101001]),
        ("binary", [0b10101001 - 128]),
    ],
)
def test_integers(kind: OutputType, expected: list[int]) -> None:
    assert VectorForm(type=kind).written(SENT) == expected
    packed = VectorForm(type=kind, as_base64=True).written(SENT)
    dtype = np.uint8 if kind.startswith("u") else np.int8
    assert isinstance(packed, str) and np.frombuffer(base64.b64decode(packed), dtype).tolist() == expected


def test_floats_are_the_same_in_base64() -> None:
    packed = VectorForm(as_base64=True).written(SENT)
    assert isinstance(packed, str) and base64.b64decode(packed) == SENT
    assert VectorForm().written(SENT) == VECTOR.tolist()


def test_a_shortened_vector_is_long_again() -> None:
    short = np.array(VectorForm(dimensions=3).written(SENT))
    assert abs(np.linalg.norm(short) - 1) < 1e-6 and np.allclose(short / short[0], VECTOR[:3] / VECTOR[0])
    assert np.allclose(VectorForm(dimensions=1).written(bytes(32)), [0.0])


@pytest.mark.parametrize("wanted", [0, -1, 9])
def test_dimensions_that_there_are_not(wanted: int) -> None:
    with pytest.raises(OutOfRange, match=str(wanted)) as caught:
        VectorForm(wanted, "dimensions").check(8)
    assert caught.value.param == "dimensions"


def test_bits_fill_bytes() -> None:
    VectorForm(8, type="binary").check(12)
    for form in (VectorForm(type="binary"), VectorForm(7, type="ubinary")):
        with pytest.raises(OutOfRange, match="multiple of 8"):
            form.check(12)
