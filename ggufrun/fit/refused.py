"""Weights that llama.cpp puts on GPUs, most of which refuse to compute with them: all are copied to RAM for each step.

One fact, read in llama.cpp 0c1e570: `build_moe_ffn` asks F32 of what the experts' down matrices of mistral4 (Mistral
Small 4) are multiplied with, since it can exceed F16, and `supports_op` of CUDA (ROCm and MUSA are the same code),
Vulkan and WebGPU refuses MUL_MAT_ID with that; Metal takes it, and a worker of RPC is not asked. So the processor
computes this product, and the whole matrix comes over the bus: 0.9 GB a layer at Q6_K, of which a token uses a 32nd.
`benchmarks.gpu` times both ways (speed-small4-4, and speed-small4-4-card). Once they are alike, this file can go.
"""

import re
from collections.abc import Iterable
from typing import Final

_ARCHITECTURE: Final = "mistral4"
_REFUSING: Final = re.compile(r"(?:CUDA|ROCm|MUSA|Vulkan|WebGPU|GPU)\d*")  # GPU: only described, so most likely CUDA
DOWN: Final = re.compile(r"blk\.\d+\.ffn_down_exps")
IN_RAM: Final = f"{DOWN.pattern}.*=CPU"  # as --override-tensor takes it
COPIED: Final = 25e9  # bytes a second from a GPU to RAM: PCIe 4.0 x16, about; an H200 on PCIe 5.0 made 53e9


def refused(architecture: str, gpus: Iterable[str]) -> tuple[str, ...]:
    """What --override-tensor should say where any of these devices or backends has a part: () where all is well."""
    return (IN_RAM,) if architecture == _ARCHITECTURE and any(map(_REFUSING.fullmatch, gpus)) else ()
