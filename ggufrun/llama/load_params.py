"""ModelSettings as llama_model_params, with everything that the native struct points to kept alive."""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from llama_cpp import llama_cpp as ll

from ggufrun.errors import OptionError
from ggufrun.llama import amx, devices, library, rpc
from ggufrun.settings import ModelSettings
from ggufrun.weights.header import Header

_ALL_LAYERS = -1
_LOAD_MODES = {  # (mmap, mlock)
    (False, False): ll.LLAMA_LOAD_MODE_NONE,
    (True, False): ll.LLAMA_LOAD_MODE_MMAP,
    (False, True): ll.LLAMA_LOAD_MODE_MLOCK,
    (True, True): ll.LLAMA_LOAD_MODE_MMAP_MLOCK,
}


class _Override(ctypes.Structure):
    """llama_model_tensor_buft_override, which the binding leaves out."""

    _fields_ = (("pattern", ctypes.c_char_p), ("buffer_type", ctypes.c_void_p))


class LoadParams:
    """`native` is what llama_model_load_from_file takes; it is valid as long as this object."""

    def __init__(self) -> None:
        self.native = ll.llama_model_default_params()
        self._kept: list[Any] = []
        self._interrupt: BaseException | None = None

    @classmethod
    def for_vocabulary(cls) -> "LoadParams":
        params = cls()
        params.native.vocab_only = True
        params.native.n_gpu_layers = 0
        return params

    @classmethod
    def for_weights(
        cls,
        settings: ModelSettings,
        progress: Callable[[float], None] | None,
        header: Header,
        *,
        allocate: bool = True,
    ) -> "LoadParams":
        """Not `allocate`: everything is laid out as it would be, and no buffer is filled, nor had at all.

        Raises OptionError for a device or buffer type that does not exist.
        """
        params = cls()
        remote = rpc.connect(settings.rpc)  # before anything is asked of ggml: it changes what there is
        auto = _ALL_LAYERS if library.supports_gpu() else 0
        params.native.n_gpu_layers = auto if settings.gpu_layers == "auto" else settings.gpu_layers
        params.native.use_extra_bufts = _extra_buffers_are_safe(header)
        # What is only laid out cannot be mapped: llama.cpp aborts.
        params.native.load_mode = _LOAD_MODES[settings.mmap and allocate, settings.mlock and allocate]
        params.native.no_alloc = not allocate
        if settings.devices or remote:
            params._set_devices(settings.devices, remote)
        if settings.tensor_split:
            params._set_tensor_split(settings.tensor_split)
        if settings.override_tensors:
            params._set_overrides(settings.override_tensors)
        if progress is not None:
            params._set_progress(progress)
        return params

    def skip_vocabulary(self, header: Header) -> None:
        """Have tokens without texts, as many as the file has: enough to lay a model out, in a quarter of the time."""
        tokens = header.length("tokenizer.ggml.tokens")
        if tokens is None:
            return
        changes: Any = (ll.llama_model_kv_override * 3)()  # a third one without a key ends them
        changes[0].tag, changes[0].key = ll.LLAMA_KV_OVERRIDE_TYPE_STR, b"tokenizer.ggml.model"
        changes[0].value.val_str = b"none"
        changes[1].tag, changes[1].key = ll.LLAMA_KV_OVERRIDE_TYPE_INT, f"{header.architecture}.vocab_size".encode()
        changes[1].value.val_i64 = tokens
        self._kept.append(changes)
        self.native.kv_overrides = changes

    def raise_interrupted(self) -> None:
        """Raise what the progress callback raised: it cannot pass through native code."""
        if self._interrupt is not None:
            raise self._interrupt

    def _set_devices(self, names: Sequence[str], remote: Sequence[int]) -> None:
        """Workers come first: the output then lies here, and no row of logits goes through the network."""
        local = devices.device_handles(names) if names else rpc.local_gpus(remote)
        handles = [*(handle for handle in remote if handle not in local), *local]
        self.native.devices = self._keep_array((ctypes.c_void_p * (len(handles) + 1))(*handles, None))

    def _set_tensor_split(self, shares: Sequence[float]) -> None:
        most = ll.LLAMA_MAX_DEVICES
        if len(shares) > most:
            raise OptionError(f"--tensor-split has {len(shares)} shares.", f"Give at most {most}, one a device.")
        array = (ctypes.c_float * most)(*shares)
        self._kept.append(array)
        self.native.tensor_split = array

    def _set_overrides(self, texts: Sequence[str]) -> None:
        rows = [devices.parse_override(text) for text in texts]
        array = (_Override * (len(rows) + 1))(*(_Override(pattern.encode(), handle) for pattern, handle in rows))
        self.native.tensor_buft_overrides = self._keep_array(array)

    def _keep_array(self, array: Any) -> int:
        self._kept.append(array)
        return ctypes.addressof(array)

    def _set_progress(self, progress: Callable[[float], None]) -> None:
        def report(done: float, _: object) -> bool:
            try:
                progress(done)
            except BaseException as error:  # carried around the native call, Ctrl-C too
                self._interrupt = error
            return self._interrupt is None

        callback = ll.llama_progress_callback(report)
        self._kept.append(callback)
        self.native.progress_callback = callback


def _extra_buffers_are_safe(header: Header) -> bool:
    """Without them no weights are laid out for AMX (nor repacked): a third of the speed, but no crash."""
    if "AMX_INT8 = 1" not in library.system_info():
        return True
    return not amx.cannot_multiply(header) and amx.tiles_are_right(amx.library_bytes())
