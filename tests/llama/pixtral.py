"""Pixtral's vision encoder in numpy, float64, from an mmproj GGUF: what llama.cpp's is measured against

After Mistral's own description (the Pixtral paper, and mistral-inference's vision_encoder.py): patches in rows, RMS
norms, two-dimensional rotary embeddings, SwiGLU, then the merger of Mistral Small 3.1 and a GELU projector.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGUFReader

Array = npt.NDArray[np.float64]
THETA = 10_000.0


class Pixtral:
    def __init__(self, path: Path) -> None:
        reader = GGUFReader(path)
        self._tensors = {each.name: np.asarray(each.data, np.float64) for each in reader.tensors}
        self._keys = {name: field.contents() for name, field in reader.fields.items()}
        self.patch, self.merge = int(self._key("patch_size")), int(self._key("spatial_merge_size"))
        self._heads = int(self._key("attention.head_count"))
        self._eps = float(self._key("attention.layer_norm_epsilon"))

    def encode(self, pixels: npt.NDArray[np.uint8]) -> Array:
        """Rows of the text model's embeddings for [height, width, 3] pixels, with [IMG_BREAK] between the lines."""
        x = self._norm(self._patches(pixels), "v.pre_ln")
        high, wide = pixels.shape[0] // self.patch, pixels.shape[1] // self.patch
        turn = self._turn(high, wide)
        for layer in (f"v.blk.{i}" for i in range(int(self._key("block_count")))):
            x = x + self._attention(self._norm(x, f"{layer}.ln1"), layer, turn)
            h = self._norm(x, f"{layer}.ln2")
            gate = self._times(h, f"{layer}.ffn_gate")
            x = x + self._times(gate / (1 + np.exp(-gate)) * self._times(h, f"{layer}.ffn_up"), f"{layer}.ffn_down")
        return self._lines(self._project(self._merged(self._norm(x, "mm.input_norm"), high, wide)), wide // self.merge)

    def _patches(self, pixels: npt.NDArray[np.uint8]) -> Array:
        mean, std = (np.array(self._key(name)) for name in ("image_mean", "image_std"))
        side, kernel = self.patch, self._tensors["v.patch_embd.weight"]
        high, wide = pixels.shape[0] // side, pixels.shape[1] // side
        tiles = ((pixels / 255 - mean) / std).reshape(high, side, wide, side, 3)
        patches: Array = np.einsum("ypxqc,dcpq->yxd", tiles, kernel)
        return patches.reshape(high * wide, -1)

    def _turn(self, high: int, wide: int) -> npt.NDArray[np.complex128]:
        """A rotation for each patch and pair of numbers: even frequencies by its line, odd ones by its column."""
        size = int(self._key("embedding_length")) // self._heads
        frequencies = THETA ** -(np.arange(0, size, 2) / size)
        lines, columns = np.divmod(np.arange(high * wide), wide)
        angles = np.hstack([np.outer(lines, frequencies[::2]), np.outer(columns, frequencies[1::2])])
        return np.asarray(np.exp(1j * angles))

    def _attention(self, x: Array, layer: str, turn: npt.NDArray[np.complex128]) -> Array:
        q, k, v = (self._split(self._times(x, f"{layer}.attn_{name}")) for name in "qkv")
        scores = _rotated(q, turn) @ _rotated(k, turn).transpose(0, 2, 1) / math.sqrt(q.shape[-1])
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = weights / weights.sum(-1, keepdims=True) @ v
        return self._times(mixed.transpose(1, 0, 2).reshape(x.shape), f"{layer}.attn_out")

    def _split(self, x: Array) -> Array:
        return x.reshape(len(x), self._heads, -1).transpose(1, 0, 2)

    def _merged(self, x: Array, high: int, wide: int) -> Array:
        """Squares of merge x merge patches as one row each, the channel first."""
        side = self.merge
        grid = x.reshape(high // side, side, wide // side, side, -1).transpose(0, 2, 4, 1, 3)
        return self._times(grid.reshape(high * wide // side**2, -1), "mm.patch_merger")

    def _project(self, x: Array) -> Array:
        h = self._times(x, "mm.1")
        erf = np.vectorize(math.erf)
        return self._times(h * (1 + erf(h / math.sqrt(2))) / 2, "mm.2")

    def _lines(self, rows: Array, wide: int) -> Array:
        ending = self._tensors["v.token_embd.img_break"]
        lines = [np.vstack([line, ending]) for line in rows.reshape(-1, wide, rows.shape[-1])]
        return np.vstack(lines)[:-1]

    def _norm(self, x: Array, name: str) -> Array:
        length: Array = np.sqrt((x**2).mean(-1, keepdims=True) + self._eps)
        return x / length * self._tensors[f"{name}.weight"]

    def _times(self, x: Array, name: str) -> Array:
        return x @ self._tensors[f"{name}.weight"].T

    def _key(self, name: str) -> Any:
        return self._keys[f"clip.vision.{name}"]


def _rotated(x: Array, turn: npt.NDArray[np.complex128]) -> Array:
    pairs = (x[..., ::2] + 1j * x[..., 1::2]) * turn
    return np.stack([pairs.real, pairs.imag], -1).reshape(x.shape)
