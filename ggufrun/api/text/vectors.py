"""Embedding vectors as clients want them: shortened, in fewer bits, as numbers or as base64."""

import base64
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ggufrun.errors import OutOfRange

OutputType = Literal["float", "int8", "uint8", "binary", "ubinary"]


@dataclass(frozen=True, slots=True)
class VectorForm:
    """`dimensions`: the first so many, made one long again, which keeps its sense in Matryoshka models only.

    int8 and uint8 are scaled so that the largest number of a vector is 127 from zero (uint8: from 128). ubinary has a
    bit for each number, set where it is positive, the first one highest in its byte; binary is that minus 128.
    """

    dimensions: int | None = None
    dimensions_field: str = "output_dimension"  # as the client has named it
    type: OutputType = "float"
    as_base64: bool = False  # float: float32, little endian

    def check(self, dimensions: int) -> None:
        """Raises OutOfRange where the model's vectors do not have such a form."""
        wanted = dimensions if self.dimensions is None else self.dimensions
        if not 1 <= wanted <= dimensions:
            hint = f"The model's vectors have {dimensions}."
            raise OutOfRange(f"{self.dimensions_field} is {wanted}.", hint, self.dimensions_field)
        if self.type in ("binary", "ubinary") and wanted % 8:
            reason = f"{wanted} dimensions do not fill their last byte."
            raise OutOfRange(reason, "Ask for a multiple of 8, or for another output_dtype.", "output_dtype")

    def written(self, vector: bytes) -> list[float] | list[int] | str:
        """`vector` as float32, little endian, of unit length."""
        numbers = self._typed(self._shortened(np.frombuffer(vector, "<f4")))
        return base64.b64encode(numbers.tobytes()).decode() if self.as_base64 else list(numbers.tolist())

    def _shortened(self, vector: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if self.dimensions is None or self.dimensions == len(vector):
            return vector
        first = vector[: self.dimensions]
        shortened: npt.NDArray[np.float32] = (first / (np.linalg.norm(first) or 1)).astype("<f4")
        return shortened

    def _typed(self, vector: npt.NDArray[np.float32]) -> npt.NDArray[np.generic]:
        if self.type == "float":
            return vector
        if self.type in ("binary", "ubinary"):
            packed = np.packbits(vector > 0)
            return packed if self.type == "ubinary" else (packed.astype(np.int16) - 128).astype(np.int8)
        scaled: npt.NDArray[np.float32] = np.rint(vector * (127 / (np.abs(vector).max() or 1)))
        return scaled.astype(np.int8) if self.type == "int8" else (scaled + 128).astype(np.uint8)
