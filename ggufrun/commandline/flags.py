"""The commands' options in groups, and how each group becomes settings. `None` (or an empty list) means "not given"."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ggufrun.commandline.rpc_flags import rpc_overrides
from ggufrun.commandline.values import gpu_layers, lora, split_devices, split_overrides, tensor_split, tokens
from ggufrun.settings import EngineOverrides, EngineSettings, FlashAttention, KvType, ModelOverrides, ModelSettings

Option = typer.Option
_SAMPLING = (
    "temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty", "seed",
    "max_tokens", "reasoning_effort",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AskFlags:
    """How one answer is asked for."""

    image: Annotated[
        list[Path] | None, Option(metavar="FILE", help="An image that goes with the prompt; may be repeated.")
    ] = None
    system: Annotated[str | None, Option(metavar="TEXT", help='System prompt; "": none.')] = None
    temperature: Annotated[float | None, Option(metavar="X", help="0 (greedy) to 2.")] = None
    top_p: Annotated[float | None, Option(metavar="X", help="Keep the likeliest tokens up to this probability.")] = None
    top_k: Annotated[int | None, Option(metavar="N", help="Keep the N likeliest tokens; 0: all.")] = None
    min_p: Annotated[float | None, Option(metavar="X", help="Drop tokens below X times the likeliest.")] = None
    presence_penalty: Annotated[float | None, Option(metavar="X", help="-2 to 2.")] = None
    frequency_penalty: Annotated[float | None, Option(metavar="X", help="-2 to 2.")] = None
    repetition_penalty: Annotated[float | None, Option(metavar="X", help="1 leaves repetition alone.")] = None
    seed: Annotated[int | None, Option(metavar="N", help="The same seed gives the same answer.")] = None
    max_tokens: Annotated[int | None, Option(metavar="N", help="End the answer after N tokens.")] = None
    stop: Annotated[list[str] | None, Option(metavar="TEXT", help="End before this text; may be repeated.")] = None
    reasoning_effort: Annotated[str | None, Option(metavar="WORD", help="none, minimal, low, medium, high …")] = None
    json_schema: Annotated[Path | None, Option(metavar="FILE", help="The answer is JSON of this schema.")] = None
    regex: Annotated[str | None, Option(metavar="RE", help="The whole answer matches RE.")] = None
    grammar: Annotated[Path | None, Option(metavar="FILE", help="The answer follows a lark or GBNF grammar.")] = None
    json: Annotated[bool, Option("--json", help="Print one JSON object: text, finish_reason, usage, timings.")] = False

    def sampling(self) -> dict[str, object]:
        """The sampling options by their names in `ChatOptions`; not checked yet."""
        return {**{name: getattr(self, name) for name in _SAMPLING}, "stop": tuple(self.stop) if self.stop else None}


@dataclass(frozen=True, slots=True)
class LoadFlags:
    """How the model is loaded."""

    context: Annotated[str | None, Option(metavar="N", help="Context in tokens, as in 32768 or 32k.")] = None
    threads: Annotated[int | None, Option(metavar="N", help="CPU threads.")] = None
    gpu_layers: Annotated[str | None, Option(metavar="N|auto", help="Layers on the GPU.")] = None
    kv_type: Annotated[KvType | None, Option(help="Type of the KV cache.")] = None
    flash_attn: Annotated[FlashAttention | None, Option(help="Flash attention.")] = None
    no_mmap: Annotated[bool, Option("--no-mmap", help="Read the file instead of mapping it.")] = False
    mlock: Annotated[bool, Option("--mlock", help="Keep the model in RAM.")] = False
    device: Annotated[list[str] | None, Option(metavar="NAME[,NAME]", help="Devices to offload to.")] = None
    tensor_split: Annotated[str | None, Option(metavar="X,X", help="Share of the model on each device, 3,1.")] = None
    override_tensor: Annotated[list[str] | None, Option(metavar="RE=TYPE", help="Buffer type for tensors.")] = None
    lora: Annotated[list[str] | None, Option(metavar="FILE[:SCALE]", help="LoRA adapter; may be repeated.")] = None
    mmproj: Annotated[
        str | None,
        Option(metavar="FILE|none", help="The part that sees images; without: mmproj*.gguf beside the model."),
    ] = None
    chat_template: Annotated[Path | None, Option(metavar="FILE", help="Jinja template instead of the file's.")] = None
    rpc: Annotated[
        list[str] | None, Option(metavar="HOST:PORT[,…]", help="Other machines' RPC workers that share the model.")
    ] = None
    rpc_memory: Annotated[
        list[str] | None, Option(metavar="SIZE[,…]", help="Of each worker's device what to use; else what it says.")
    ] = None
    rpc_timeout: Annotated[
        str | None, Option(metavar="TIME", help="Give a worker up that stalls for so long; 30s or more if it is slow.")
    ] = None

    def overrides(self) -> ModelOverrides:
        """What was given, by the names of `ModelSettings`. Raises `OptionError`, `ModelFileError`."""
        given = ModelOverrides()
        if self.context is not None:
            given["context"] = tokens(self.context, "--context")
        if self.threads is not None:
            given["threads"] = self.threads
        if self.gpu_layers is not None:
            given["gpu_layers"] = gpu_layers(self.gpu_layers)
        if self.kv_type is not None:
            given["kv_type"] = self.kv_type
        if self.flash_attn is not None:
            given["flash_attention"] = self.flash_attn
        if self.no_mmap:
            given["mmap"] = False
        if self.mlock:
            given["mlock"] = True
        if self.device:
            given["devices"] = split_devices(self.device)
        if self.tensor_split is not None:
            given["tensor_split"] = tensor_split(self.tensor_split)
        if self.override_tensor:
            given["override_tensors"] = split_overrides(self.override_tensor)
        if self.lora:
            given["loras"] = tuple(lora(one) for one in self.lora)
        if self.mmproj is not None:
            given["mmproj"] = self.mmproj
        given.update(rpc_overrides(self.rpc, self.rpc_memory, self.rpc_timeout))
        ModelSettings(Path(), **given)  # checks the values now, before the model is looked for
        return given


@dataclass(frozen=True, slots=True)
class EngineFlags:
    """How the server's engine schedules."""

    parallel: Annotated[int | None, Option(metavar="N", help="Answers generated at once.")] = None
    batch: Annotated[int | None, Option(metavar="N", min=1, help="Tokens in one step of the model.")] = None
    max_queue: Annotated[int | None, Option(metavar="N", min=0, help="Requests that may wait.")] = None
    no_share_prefixes: Annotated[bool, Option("--no-share-prefixes", help="Compute every prompt anew.")] = False
    no_jump_forward: Annotated[bool, Option("--no-jump-forward", help="Sample tokens that a grammar forces.")] = False
    no_drafting: Annotated[bool, Option("--no-drafting", help="No n-gram drafts.")] = False
    no_wrap_up: Annotated[bool, Option("--no-wrap-up", help="Cut JSON at the limit instead of closing it.")] = False
    no_disk_cache: Annotated[bool, Option("--no-disk-cache", help="Keep no prompts on disk.")] = False

    def overrides(self) -> EngineOverrides:
        """What was given, by the names of `EngineSettings`. Raises `OptionError`."""
        given = EngineOverrides()
        if self.parallel is not None:
            given["parallel"] = self.parallel
        if self.batch is not None:
            given["batch"] = self.batch
        if self.max_queue is not None:
            given["queue"] = self.max_queue
        if self.no_share_prefixes:
            given["share_prefixes"] = False
        if self.no_jump_forward:
            given["jump_forward"] = False
        if self.no_drafting:
            given["drafting"] = False
        if self.no_wrap_up:
            given["wrap_up"] = False
        if self.no_disk_cache:
            given["disk_cache"] = None
        EngineSettings(**given)  # checks the values now
        return given
