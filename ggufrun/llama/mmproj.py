"""What is read of an mmproj file before llama.cpp opens it: the grid of pictures, and the row that ends a line"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ggufrun.errors import ModelFileError
from ggufrun.weights.header import Header

Rows = npt.NDArray[np.float32]
HINT = "Give the mmproj file that was published with this model."


@dataclass(frozen=True, slots=True)
class Mmproj:
    step: int  # pixels that a token stands for, each way
    most_tokens: int  # of a picture as large as the encoder was made for
    line_end: Rows | None  # [n_embd]; None: lines follow each other without a mark

    @classmethod
    def of(cls, header: Header) -> "Mmproj":
        """Raises ModelFileError for a file that is no vision encoder, OSError if it cannot be read."""
        side, patch = (header.integer(f"clip.vision.{name}") or 0 for name in ("image_size", "patch_size"))
        if side < 1 or patch < 1:
            raise ModelFileError(header.path, "is no vision encoder (mmproj)", HINT)
        step = patch * max(1, header.integer("clip.vision.spatial_merge_size") or 1)
        return cls(step, int(-(-side // step)) ** 2, _line_end(header))

    def rows(self, width: int, height: int) -> int:
        """Rows that a picture of whole steps becomes; 0 for another one, which llama.cpp would resize."""
        columns, lines = width // self.step, height // self.step
        if (columns * self.step, lines * self.step) != (width, height):
            return 0
        return columns * lines + (lines - 1 if self.line_end is not None else 0)

    def end_lines(self, rows: Rows, width: int) -> None:
        """Write the line ends of a picture that is `width` pixels wide.

        llama.cpp adds them to memory times zero, which is NaN where the memory held one from before.
        """
        if self.line_end is not None:
            line = width // self.step
            rows[line :: line + 1] = self.line_end


def _line_end(header: Header) -> Rows | None:
    """Pixtral's [IMG_BREAK], which converters store as they find it or in 32 bits."""
    tensor = next((each for each in header.tensors if each.name == "v.token_embd.img_break"), None)
    if tensor is None or tensor.size is None:
        return None
    with header.path.open("rb") as file:
        file.seek(header.data_offset + tensor.offset)
        data = file.read(tensor.size)
    match tensor.type_name:
        case "F32":
            return np.frombuffer(data, "<f4").astype(np.float32)
        case "F16":
            return np.frombuffer(data, "<f2").astype(np.float32)
        case "BF16":
            return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    raise ModelFileError(header.path, f"its [IMG_BREAK] has the type {tensor.type_name}", HINT)
