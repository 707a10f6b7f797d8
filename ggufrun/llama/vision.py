"""The door to libmtmd: pixels through the vision encoder of an mmproj file, as rows for the text model

It comes to the pixels as they are: whoever makes them has resized them to whole patches, within the file's limits.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as ll
from llama_cpp import mtmd_cpp as mtmd

from ggufrun.engine.backend import EncodingStopped
from ggufrun.errors import EngineClosed, EngineError, ModelFileError
from ggufrun.llama import library
from ggufrun.llama.failures import check_file, reason
from ggufrun.llama.mmproj import HINT, Mmproj
from ggufrun.llama.model import Model
from ggufrun.llama.openmp import give_back_threads

_NODES: Final = 32  # of the computation, about a layer: after so many it can be given up


def _never() -> bool:
    return False


class LlamaVision:
    """One mtmd context for a model that outlives it, made at the first picture. One thread uses it."""

    def __init__(self, path: Path, model: Model, threads: int, gpu: bool, device: int | None = None) -> None:
        """`device`: the GPU's handle; None is llama.cpp's choice."""
        self._path, self._model, self._threads, self._gpu, self._device = path, model, threads, gpu, device
        self._width = int(ll.llama_model_n_embd_inp(model.handle))
        self._opened: tuple[Any, Mmproj] | None = None  # the context, and what its file says
        self._closed = False
        self._nodes = 0
        self._stopped: Callable[[], bool] = _never
        self._goes_on = ll.ggml_backend_sched_eval_callback(self._evaluate)  # a collected callback crashes the process

    def encode(
        self, width: int, height: int, pixels: bytes, stopped: Callable[[], bool] = _never
    ) -> npt.NDArray[np.float32]:
        """Rows, float32 [rows, n_embd], of an RGB picture. Raises ModelFileError, EngineError or EngineClosed.

        EncodingStopped where `stopped` says so on the way.
        """
        context, mmproj = self._open()
        self._stopped = stopped
        try:
            rows = self._encoded(context, mmproj, width, height, pixels)
        finally:
            self._stopped = _never
            give_back_threads()
        mmproj.end_lines(rows, width)
        if not np.isfinite(rows).all():
            raise EngineError("The vision encoder made numbers out of range of a picture.", "Send it in another size.")
        return rows

    def _encoded(self, context: Any, mmproj: Mmproj, width: int, height: int, pixels: bytes) -> npt.NDArray[np.float32]:
        with library.captured_log() as lines, _picture(context, width, height, pixels) as chunk:
            rows = int(mtmd.mtmd_input_chunk_get_n_tokens(chunk)) if chunk else 0
            if chunk and rows != mmproj.rows(width, height):
                hint = f"Make its sides multiples of {mmproj.step}, and no longer than the encoder's."
                raise EngineError(f"A picture of {width} x {height} pixels is not taken as it is.", hint)
            failed = not chunk or mtmd.mtmd_encode_chunk(context, chunk) != 0
            if self._stopped():
                raise EncodingStopped
            if failed:
                raise EngineError(f"llama.cpp could not encode a picture: {reason(lines)}.", "Send a smaller one.")
            found = np.ctypeslib.as_array(mtmd.mtmd_get_output_embd(context), (rows, self._width))
            return found.copy()  # the next picture is written to the same place

    def _evaluate(self, _tensor: Any, ask: bool, _data: Any) -> bool:
        """ggml asks of each node whether it shall come back after it; there, False ends the computation."""
        if not ask:
            return not self._stopped()
        self._nodes += 1
        return self._nodes % _NODES == 0

    def close(self) -> None:
        self._closed = True
        if self._opened is not None:
            (context, _), self._opened = self._opened, None
            mtmd.mtmd_free(context)

    def _open(self) -> tuple[Any, Mmproj]:
        if self._closed:
            raise EngineClosed
        if self._opened is None:
            self._opened = self._load()
        return self._opened

    def _load(self) -> tuple[Any, Mmproj]:
        library.listen(mtmd.mtmd_log_set)
        library.listen(mtmd.mtmd_helper_log_set)
        mmproj = Mmproj.of(check_file(self._path)[0])
        params = self._params(mmproj)
        with library.captured_log() as lines:
            context = mtmd.mtmd_init_from_file(str(self._path).encode(), self._model.handle, params)
        if not context:
            raise ModelFileError(self._path, f"cannot see for this model: {reason(lines)}", HINT)
        other = mtmd.mtmd_decode_use_non_causal(context, None) or mtmd.mtmd_decode_use_mrope(context)
        if other or not mtmd.mtmd_support_vision(context):
            mtmd.mtmd_free(context)
            raise ModelFileError(self._path, "its kind of vision is not supported", HINT)
        return context, mmproj

    def _params(self, mmproj: Mmproj) -> Any:
        params = mtmd.mtmd_context_params_default()
        params.use_gpu, params.device, params.n_threads = self._gpu, self._device, self._threads
        params.print_timings = params.warmup = False
        params.cb_eval = self._goes_on
        # llama.cpp's own limits are 8 and 1,024 tokens, and it would resize what is outside of them.
        params.image_min_tokens, params.image_max_tokens = 1, mmproj.most_tokens
        return params


@contextmanager
def _picture(context: Any, width: int, height: int, pixels: bytes) -> Iterator[Any]:
    """The picture as libmtmd's chunk, None where it takes none."""
    with ExitStack() as stack:
        source = ctypes.cast(ctypes.c_char_p(pixels), ctypes.POINTER(ctypes.c_uint8))
        bitmap = mtmd.mtmd_bitmap_init(width, height, source)
        stack.callback(mtmd.mtmd_bitmap_free, bitmap)
        chunks = mtmd.mtmd_input_chunks_init()
        stack.callback(mtmd.mtmd_input_chunks_free, chunks)
        part = mtmd.mtmd_input_part(bitmap=bitmap)
        parts = (ctypes.POINTER(mtmd.mtmd_input_part) * 1)(ctypes.pointer(part))
        taken = mtmd.mtmd_tokenize_from_parts(context, chunks, parts, 1, False) == 0
        found = (mtmd.mtmd_input_chunks_get(chunks, i) for i in range(mtmd.mtmd_input_chunks_size(chunks)))
        pictures = [each for each in found if mtmd.mtmd_input_chunk_get_type(each) == mtmd.MTMD_INPUT_CHUNK_TYPE_IMAGE]
        yield pictures[0] if taken and len(pictures) == 1 else None
