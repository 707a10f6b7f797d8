"""Other machines' devices in a plan: as GPUs before this machine's own, as llama.cpp orders them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ggufrun.errors import OptionError
from ggufrun.fit.bandwidth import GUESSED_RAM
from ggufrun.fit.machine import Gpu, Machine, size_and_speed
from ggufrun.settings import ModelOverrides

# Where no GPU is here, the output is computed by the processor: its weights are read, and no row of logits, four bytes
# a word of the vocabulary, comes through the network for each token.
OUTPUT_HERE: Final = r"^(?:output|token_embd)\.weight=CPU"
_EXAMPLE: Final = "12GiB or 12GiB@448 (GB/s)"


@dataclass(frozen=True, slots=True)
class RemoteDevice:
    """As its worker says; bytes."""

    address: str
    free: int
    total: int


def worker_gpus(found: Sequence[RemoteDevice], said: Sequence[str]) -> tuple[Gpu, ...]:
    """`said` is --rpc-memory: for each device what may be used, over what it says. Without `found`: only described.

    A worker does not tell how fast its memory is: it is taken for a desktop's RAM where `said` does not. Raises
    OptionError.
    """
    if found and len(said) > len(found):
        raise OptionError(
            f"--rpc-memory has {len(said)} sizes for {len(found)} devices.", "Give one a device, or none."
        )
    sizes = [size_and_speed(text, "--rpc-memory", _EXAMPLE) for text in said]
    devices: Sequence[RemoteDevice] = found or [RemoteDevice("as described", size, size) for size, _ in sizes]
    gpus = []
    for number, device in enumerate(devices):
        size, speed = sizes[number] if number < len(sizes) else (device.free, None)
        total = max(device.total, size)
        name, speed = f"RPC{number}", speed or GUESSED_RAM
        gpus.append(Gpu(name, device.address, total, size, speed, "estimated", remote=True))
    return tuple(gpus)


def with_workers(machine: Machine, gpus: Sequence[Gpu], *, there: bool) -> Machine:
    """`there`: they were asked, and llama.cpp can be."""
    return replace(machine, gpus=(*gpus, *machine.gpus), here=machine.here and there) if gpus else machine


def keeps_output(pinned: ModelOverrides, machine: Machine) -> ModelOverrides:
    """With the output on this machine, where only others have devices and nobody placed tensors."""
    remote = [gpu for gpu in machine.gpus if gpu.remote]
    if not remote or len(remote) < len(machine.gpus) or "override_tensors" in pinned or pinned.get("gpu_layers") == 0:
        return pinned
    return ModelOverrides(**{**pinned, "override_tensors": (OUTPUT_HERE,)})
