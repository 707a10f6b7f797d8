"""Making a llama_context: sizes, threads, KV types. What is done with one is in `backend`."""

import ctypes
from dataclasses import dataclass, replace
from typing import Any

from llama_cpp import llama_cpp as ll

from ggufrun.engine.backend import MemoryKind
from ggufrun.errors import OptionError, OutOfMemory
from ggufrun.figures import gib
from ggufrun.llama import library
from ggufrun.llama.failures import context_failure
from ggufrun.llama.hardware import available_memory, physical_cores
from ggufrun.llama.model import Model
from ggufrun.settings import EngineSettings, KvType, ModelSettings

DEFAULT_CONTEXT = 16_384  # tokens at most, where none are asked for; a model's own maximum may be less
_UBATCH = 512  # rows computed at once on a GPU; llama.cpp's default
_UBATCH_CPU = 128  # on the processor, whose caches then hold a step: prompts are as fast, and it can be left sooner
_MOST = 2**31 - 1

_KV_TYPES = {"f16": ll.GGML_TYPE_F16, "q8_0": ll.GGML_TYPE_Q8_0, "q4_0": ll.GGML_TYPE_Q4_0}
KV_BYTES = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}  # bytes an element, block scales included
_FLASH = {
    "auto": ll.LLAMA_FLASH_ATTN_TYPE_AUTO,
    "on": ll.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "off": ll.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}


@dataclass(frozen=True, slots=True)
class ContextPlan:
    """The sizes of a context, all choices made."""

    context: int  # cells, shared by all sequences
    batch: int  # rows of one llama_decode
    ubatch: int  # rows computed at once
    sequences: int
    threads: int
    kv_type: KvType
    flash_attention: int
    unified: bool = True  # sequences share cells, so a shared prefix costs nothing
    pooling: int | None = None  # of an embedding model's outputs; None: logits are wanted

    @classmethod
    def make(cls, model: Model, settings: ModelSettings, engine: EngineSettings) -> "ContextPlan":
        """Fill in what the settings leave open. OptionError for sizes that llama.cpp cannot have."""
        context = settings.context or min(model.context_train, DEFAULT_CONTEXT)
        if context > _MOST:
            raise OptionError(f"A context of {context} tokens is too large.", f"Use at most {_MOST}.")
        cached = engine.cached_sequences
        if model.memory is MemoryKind.RECURRENT:  # each sequence has a whole state of its own
            cached = min(cached, engine.parallel)
        on_cpu = not library.supports_gpu() or settings.gpu_layers == 0
        batch = min(engine.batch, context)
        sequences = min(engine.parallel + cached, ll.llama_max_parallel_sequences())
        if context < sequences:  # a batch must have room for a row of each, or llama.cpp aborts
            raise OptionError(f"A context of {context} tokens is too small.", f"Use at least {sequences}.")
        return cls(
            context=context,
            batch=batch,
            ubatch=min(_UBATCH_CPU if on_cpu else _UBATCH, batch),
            sequences=sequences,
            threads=settings.threads or physical_cores(),
            kv_type=settings.kv_type,
            flash_attention=flash_attention(settings, on_cpu),
        )

    def other_attention(self) -> "ContextPlan":
        """The same numbers added up in another order: without flash attention, or with it where this has none."""
        return replace(self, flash_attention=_FLASH["on" if self.flash_attention == _FLASH["off"] else "off"])


def flash_attention(settings: ModelSettings, on_cpu: bool) -> int:
    """llama.cpp's choice, but on the processor "auto" is off: at 1,850 tokens of depth that made one row 2.2 and eight
    rows 5.5 times faster, and prompts 15 % slower (benchmarks/NOTES.md). A quantized cache needs it on.
    """
    wanted = settings.flash_attention
    return _FLASH["off" if wanted == "auto" and on_cpu and settings.kv_type == "f16" else wanted]


def open_context(model: Model, plan: ContextPlan) -> Any:
    """A new llama_context*, LoRA adapters applied. Raises OutOfMemory or OptionError."""
    _check_memory(model, plan)
    with library.captured_log() as lines:
        handle = ll.llama_init_from_model(model.handle, _params(plan))
    if not handle:
        raise context_failure(plan.context, lines)
    if model.loras:
        count = len(model.loras)
        adapters = (ll.llama_adapter_lora_p_ctypes * count)(*(adapter for adapter, _ in model.loras))
        scales = (ctypes.c_float * count)(*(scale for _, scale in model.loras))
        if ll.llama_set_adapters_lora(handle, adapters, count, scales) != 0:
            ll.llama_free(handle)
            raise OptionError("The LoRA adapters cannot be applied.", "Drop --lora.")
    return handle


def _params(plan: ContextPlan) -> ll.llama_context_params:
    params: ll.llama_context_params = ll.llama_context_default_params()
    params.n_ctx, params.n_seq_max = plan.context, plan.sequences
    params.n_batch, params.n_ubatch = plan.batch, plan.ubatch
    params.n_threads = params.n_threads_batch = plan.threads
    params.type_k = params.type_v = _KV_TYPES[plan.kv_type]
    params.flash_attn_type = plan.flash_attention
    params.kv_unified = plan.unified
    params.swa_full = False  # a window's worth of cells for each sequence, not the whole context's
    params.no_perf = True
    if plan.pooling is not None:
        params.embeddings, params.pooling_type = True, plan.pooling
    return params


def kv_bytes(model: Model, context: int, kv_type: KvType) -> int:
    """About what a full-attention KV cache of `context` cells takes, in bytes."""
    handle = model.handle
    elements = ll.llama_model_n_layer(handle) * ll.llama_model_n_head_kv(handle) * _per_head(model)
    return int(elements * KV_BYTES[kv_type] * context)


def cells_per_row(model: Model) -> int:
    """How many cells a row must look at until that takes as much computing as the weights do."""
    elements = int(ll.llama_model_n_layer(model.handle) * ll.llama_model_n_head(model.handle)) * _per_head(model)
    return int(ll.llama_model_n_params(model.handle)) // max(1, elements)


def _per_head(model: Model) -> int:
    """The elements of one head's key and value."""
    handle, metadata = model.handle, model.metadata
    architecture = metadata.get("general.architecture", "")
    default = ll.llama_model_n_embd(handle) // max(1, ll.llama_model_n_head(handle))
    return sum(int(metadata.get(f"{architecture}.attention.{side}_length", default)) for side in ("key", "value"))


def _check_memory(model: Model, plan: ContextPlan) -> None:
    """The CPU backend touches every page of its cache, so that the system would kill the process before an error."""
    if not model.allocated or library.supports_gpu() or model.memory is not MemoryKind.FULL:
        return
    available, needed = available_memory(), kv_bytes(model, plan.context, plan.kv_type)
    if needed > available:
        fits = available * plan.context // needed // 256 * 256
        raise OutOfMemory(
            f"A context of {plan.context} tokens takes {gib(needed)} and {gib(available)} of memory are free.",
            f"Use --context {fits} or less, or --kv-type q8_0.",
        )
