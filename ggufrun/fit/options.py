"""Knobs as they are typed: options of `ggufrun serve` and `ggufrun fit`. What they are set to is the planner's."""

import shlex

from ggufrun.settings import EngineSettings, ModelOverrides


def options_of(knobs: ModelOverrides, batch: int, parallel: int | None) -> str:
    """`parallel` None: not said. A batch is said where it is not the engine's own."""
    words = []
    for name, option in (("context", "--context"), ("kv_type", "--kv-type"), ("gpu_layers", "--gpu-layers")):
        if (value := knobs.get(name)) is not None:
            words.append(f"{option} {value}")
    if (flash := knobs.get("flash_attention", "auto")) != "auto":
        words.append(f"--flash-attn {flash}")
    if batch != EngineSettings().batch:
        words.append(f"--batch {batch}")
    if parallel is not None:
        words.append(f"--parallel {parallel}")
    if split := knobs.get("tensor_split"):
        words.append(f"--tensor-split {','.join(f'{share:g}' for share in split)}")
    for option, several in (("--rpc", knobs.get("rpc")), ("--rpc-memory", knobs.get("rpc_memory"))):
        if several:
            words.append(f"{option} {','.join(several)}")
    if mmproj := knobs.get("mmproj"):
        words.append(f"--mmproj {shlex.quote(mmproj)}")
    words += [f"--override-tensor {shlex.quote(text)}" for text in knobs.get("override_tensors", ())]
    return " ".join(words)
