"""The options that pin a knob of a plan; the others stay the planner's. And the machine, where it is not this one."""

from dataclasses import dataclass
from typing import Annotated

import typer

from ggufrun.commandline.flags import EngineFlags, LoadFlags
from ggufrun.settings import EngineOverrides, FlashAttention, KvType, ModelOverrides

Option = typer.Option


@dataclass(frozen=True, slots=True)
class PlanFlags:
    """What is pinned."""

    context: Annotated[str | None, Option(metavar="N", help="Context in tokens, as in 32768 or 32k.")] = None
    kv_type: Annotated[KvType | None, Option(help="Type of the KV cache.")] = None
    gpu_layers: Annotated[str | None, Option(metavar="N|auto", help="Layers on the GPU.")] = None
    flash_attn: Annotated[FlashAttention | None, Option(help="Flash attention.")] = None
    tensor_split: Annotated[str | None, Option(metavar="X,X", help="Share of the model on each device, 3,1.")] = None
    override_tensor: Annotated[list[str] | None, Option(metavar="RE=TYPE", help="Buffer type for tensors.")] = None
    parallel: Annotated[int | None, Option(metavar="N", help="Answers generated at once.")] = None
    batch: Annotated[int | None, Option(metavar="N", min=1, help="Tokens in one step of the model.")] = None

    def overrides(self) -> ModelOverrides:
        """Raises OptionError."""
        return LoadFlags(
            context=self.context,
            kv_type=self.kv_type,
            gpu_layers=self.gpu_layers,
            flash_attn=self.flash_attn,
            tensor_split=self.tensor_split,
            override_tensor=self.override_tensor,
        ).overrides()

    def engine(self) -> EngineOverrides:
        """Raises OptionError."""
        return EngineFlags(parallel=self.parallel, batch=self.batch).overrides()


@dataclass(frozen=True, slots=True)
class MachineFlags:
    """The machine that a plan is for, where it is not this one."""

    gpu: Annotated[
        str | None,
        Option(metavar="SIZE[@GB/S],…", help="Plan for these GPUs, as in 24GiB,12GiB or 24GiB@1008; none: without."),
    ] = None
    ram: Annotated[str | None, Option(metavar="SIZE[@GB/S]", help="Plan for this much RAM, as in 64GiB.")] = None
