"""Frozen settings, validated where they are made and handed down as arguments. Nothing here reads the environment."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from ggufrun.errors import OptionError

KvType = Literal["f16", "q8_0", "q4_0"]
FlashAttention = Literal["auto", "on", "off"]


@dataclass(frozen=True, slots=True)
class LoraSpec:
    """One LoRA adapter file and the strength it is applied with."""

    path: Path
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """How a GGUF is loaded. Sizes in tokens; `None` and "auto" leave the choice to ggufrun."""

    path: Path
    context: int | None = None
    threads: int | None = None
    gpu_layers: int | Literal["auto"] = "auto"
    kv_type: KvType = "f16"
    flash_attention: FlashAttention = "auto"
    mmap: bool = True
    mlock: bool = False
    devices: tuple[str, ...] = ()
    tensor_split: tuple[float, ...] = ()
    override_tensors: tuple[str, ...] = ()  # "regex=buffer type", as llama.cpp's --override-tensor
    loras: tuple[LoraSpec, ...] = ()
    mmproj: str | None = None  # path of the GGUF with the vision encoder; None: the model sees no pictures
    rpc: tuple[str, ...] = ()  # workers of other machines, "host:port"; their devices come before this machine's
    rpc_memory: tuple[str, ...] = ()  # of their devices, what a plan may count on: "12GiB" or "12GiB@448" (GB/s)
    rpc_timeout_s: float = 30.0  # without a finished step, a worker is given up; more for steps that take longer

    def __post_init__(self) -> None:
        if self.context is not None and self.context < 16:
            raise OptionError(f"A context of {self.context} tokens is too small.", "Use at least 16.")
        if self.threads is not None and self.threads < 1:
            raise OptionError(f"{self.threads} threads cannot compute.", "Use --threads 1 or more.")
        if self.gpu_layers != "auto" and self.gpu_layers < 0:
            raise OptionError(f"--gpu-layers {self.gpu_layers} is negative.", "Use 0 or more, or auto.")
        if self.kv_type != "f16" and self.flash_attention == "off":
            raise OptionError("A quantized KV cache needs flash attention.", "Drop --flash-attn off or --kv-type.")
        if self.rpc_timeout_s <= 0:
            raise OptionError(f"--rpc-timeout cannot be {self.rpc_timeout_s:g} s.", "Use a second or more, as in 30s.")


class ModelOverrides(TypedDict, total=False):
    """Those fields of `ModelSettings` that somebody set: `ModelSettings(path, **overrides)`."""

    context: int | None
    threads: int | None
    gpu_layers: int | Literal["auto"]
    kv_type: KvType
    flash_attention: FlashAttention
    mmap: bool
    mlock: bool
    devices: tuple[str, ...]
    tensor_split: tuple[float, ...]
    override_tensors: tuple[str, ...]
    loras: tuple[LoraSpec, ...]
    mmproj: str | None  # a path, or "none"; None: what lies beside the model, if it fits
    rpc: tuple[str, ...]
    rpc_memory: tuple[str, ...]
    rpc_timeout_s: float


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How the engine schedules. Each feature can be switched off, for tests and for comparing."""

    parallel: int = 8  # sequences that generate at once
    batch: int = 512  # rows in one llama_decode
    queue: int = 256  # requests that may wait
    gap_ms: float = 150.0  # what a prefill chunk beside running streams may take; at worst they see twice that
    share_prefixes: bool = True
    jump_forward: bool = True
    drafting: bool = True
    wrap_up: bool = True
    cached_sequences: int = 24  # finished sequences kept in the KV cache
    disk_cache: Path | None = None  # None: no disk cache
    disk_cache_bytes: int = 2 << 30

    def __post_init__(self) -> None:
        if not 1 <= self.parallel <= 128:
            raise OptionError(f"--parallel {self.parallel} is out of range.", "Use 1 to 128.")


class EngineOverrides(TypedDict, total=False):
    """Those fields of `EngineSettings` that somebody set: `EngineSettings(**overrides)`."""

    parallel: int
    batch: int
    queue: int
    gap_ms: float
    share_prefixes: bool
    jump_forward: bool
    drafting: bool
    wrap_up: bool
    cached_sequences: int
    disk_cache: Path | None
    disk_cache_bytes: int
