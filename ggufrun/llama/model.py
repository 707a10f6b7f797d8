"""A GGUF's weights, or only its vocabulary, in memory. Contexts are in `context`, tokens in `vocabulary`."""

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from llama_cpp import llama_cpp as ll

from ggufrun.engine.backend import MemoryKind
from ggufrun.errors import EngineClosed, ModelFileError
from ggufrun.llama import library
from ggufrun.llama.failures import check_file, model_failure, reason
from ggufrun.llama.load_params import LoadParams
from ggufrun.settings import LoraSpec, ModelSettings
from ggufrun.weights.header import Header

Progress = Callable[[float], None]  # 0 to 1


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What a loaded model is, in llama.cpp's words and numbers."""

    description: str  # e.g. "llama 135M Q4_1"
    parameters: int
    context_train: int  # tokens
    size: int  # bytes of all tensors
    layers: int
    vocabulary: int


class Model:
    """Owns the native model. Contexts made from it are closed before it."""

    def __init__(self, path: Path, handle: int, keep: object = None, *, allocated: bool = True) -> None:
        self.path = path
        self.allocated = allocated  # else its contexts can be measured, and nothing be computed with them
        self.loras: list[tuple[Any, float]] = []  # adapters' handles and scales; llama.cpp frees them with the model
        self._handle: int | None = handle
        self._keep = keep  # what the native model points to

    @classmethod
    def load(cls, settings: ModelSettings, progress: Progress | None = None) -> "Model":
        """Load the weights and LoRA adapters; a split set from its first file.

        Raises ModelFileError, OptionError or OutOfMemory; what `progress` raises ends the load and comes out here.
        """
        library.start()
        header = check_file(settings.path)[0]
        model = _open(settings.path, LoadParams.for_weights(settings, progress, header))
        try:
            for spec in settings.loras:
                model.loras.append((model._load_lora(spec), spec.scale))
        except ModelFileError:
            model.close()
            raise
        return model

    @classmethod
    def lay_out(cls, settings: ModelSettings, header: Header, *, vocabulary: bool = True) -> "Model":
        """Everything where `load` would put it, without reading or allocating weights. LoRA adapters are left out.

        `header`: what `check_file` said of the file, which may be a hole behind it. Raises what `load` raises.
        """
        library.start()
        params = LoadParams.for_weights(settings, None, header, allocate=False)
        if not vocabulary:
            params.skip_vocabulary(header)
        return _open(settings.path, params)

    @classmethod
    def load_vocabulary(cls, path: Path) -> "Model":
        """Only the metadata and the vocabulary, in a fraction of a second; raises ModelFileError."""
        library.start()
        check_file(path)
        return _open(path, LoadParams.for_vocabulary())

    @property
    def handle(self) -> Any:
        """llama_model*; EngineClosed after `close`."""
        if self._handle is None:
            raise EngineClosed
        return self._handle

    @cached_property
    def metadata(self) -> Mapping[str, str]:
        """The GGUF's scalar metadata as text; arrays are left out."""
        count = ll.llama_model_meta_count(self.handle)
        return MappingProxyType({self._text(ll.llama_model_meta_key_by_index, i): self._value(i) for i in range(count)})

    @cached_property
    def memory(self) -> MemoryKind:
        if ll.llama_model_is_recurrent(self.handle) or ll.llama_model_is_hybrid(self.handle):
            return MemoryKind.RECURRENT
        return MemoryKind.SLIDING if self.window else MemoryKind.FULL

    @cached_property
    def window(self) -> int:
        """Positions that sliding-window attention looks back, itself included; 0 where all layers see everything."""
        return int(ll.llama_model_n_swa(self.handle))

    @cached_property
    def context_train(self) -> int:
        return int(ll.llama_model_n_ctx_train(self.handle))

    def describe(self) -> ModelDescription:
        buffer = ctypes.create_string_buffer(256)
        ll.llama_model_desc(self.handle, buffer, len(buffer))
        return ModelDescription(
            description=buffer.value.decode("utf-8", "replace"),
            parameters=int(ll.llama_model_n_params(self.handle)),
            context_train=self.context_train,
            size=int(ll.llama_model_size(self.handle)),
            layers=int(ll.llama_model_n_layer(self.handle)),
            vocabulary=int(ll.llama_vocab_n_tokens(ll.llama_model_get_vocab(self.handle))),
        )

    def close(self) -> None:
        if self._handle is not None:
            handle, self._handle = self._handle, None
            self.loras.clear()
            ll.llama_model_free(handle)

    def _load_lora(self, spec: LoraSpec) -> Any:
        check_file(spec.path)
        with library.captured_log() as lines:
            adapter = ll.llama_adapter_lora_init(self.handle, str(spec.path).encode())
        if not adapter:
            raise ModelFileError(spec.path, f"is no LoRA adapter for this model ({reason(lines)})", "Drop --lora.")
        return adapter

    def _value(self, index: int) -> str:
        return self._text(ll.llama_model_meta_val_str_by_index, index)

    def _text(self, read: Callable[..., int], index: int) -> str:
        """`read` writes like snprintf: it returns the whole length, also where the buffer was too small."""
        size = 256
        while True:
            buffer = ctypes.create_string_buffer(size)
            length = read(self.handle, index, buffer, size)
            if length < size:
                return buffer.raw[: max(length, 0)].decode("utf-8", "replace")
            size = length + 1


def _open(path: Path, params: LoadParams) -> Model:
    with library.captured_log() as lines:
        handle = ll.llama_model_load_from_file(str(path).encode(), params.native)
    params.raise_interrupted()
    if not handle:
        raise model_failure(path, lines)
    return Model(path, int(handle), params, allocated=not params.native.no_alloc)
