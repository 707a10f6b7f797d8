"""Why a plan is as it is, in sentences. Numbers are rounded for people; the plan has them exactly."""

import shlex
from collections.abc import Iterator, Sequence

from ggufrun.figures import gib, speed
from ggufrun.fit.choice import Choice
from ggufrun.fit.plan import DeviceUse, Verdict
from ggufrun.fit.refused import COPIED, DOWN, IN_RAM
from ggufrun.fit.speed import DISK_BANDWIDTH
from ggufrun.fit.task import Task


def reasons(task: Task, choice: Choice, uses: Sequence[DeviceUse], verdict: Verdict) -> tuple[str, ...]:
    """The most important one first."""
    sentences = [*_room(task, uses, choice, verdict)]
    if verdict != "too large":
        sentences += [*_refused(task, choice, uses), *_context(task, choice), *_images(task), *_kept_free(uses)]
    return (*sentences, *_how_known(task, uses))


def _room(task: Task, uses: Sequence[DeviceUse], choice: Choice, verdict: Verdict) -> Iterator[str]:
    layout, layers = choice.found.layout, task.shape.layers
    if verdict == "too large":
        yield from _too_large(task, uses)
    elif not task.machine.gpus:
        yield "There is no GPU to plan for, so all of it is in RAM."
    elif not layout.gpu_layers:
        yield f"All of it is in RAM: no layer is on a GPU{', as asked' if task.pinned_layers == 0 else ''}."
    elif layout.lowered:
        what = "experts" if layout.role == "experts" else "feed-forward networks"
        count = f"All {layers}" if layout.gpu_layers == layers else f"{layout.gpu_layers} of {layers}"
        yield (
            f"{count} layers are on {_named(uses)}, but the {what} of {layout.lowered} of them "
            f"stay in RAM: {_because(layout.role)}."
        )
    elif layout.gpu_layers < layers:
        reason = "as asked" if task.pins_a_part else "more do not fit"
        yield (
            f"{layout.gpu_layers} of {layers} layers are on {_named(uses)}, "
            f"the other {layers - layout.gpu_layers} in RAM: {reason}."
        )
    else:
        yield f"All {layers} layers are on {_named(uses)}{', but for parts of their experts' if layout.kept else ''}."


def _refused(task: Task, choice: Choice, uses: Sequence[DeviceUse]) -> Iterator[str]:
    layout, copied = choice.found.layout, sum(use.copied for use in uses)
    if layout.kept:
        size = sum(weight.ram for weight in task.shape.weights if DOWN.search(weight.name))
        yield (
            f"The experts' down matrices of all layers, {gib(size)}, stay in RAM: llama.cpp has the processor compute "
            f"with them, and would copy them there for each token."
        )
    elif copied:
        mend = (
            f"--override-tensor {shlex.quote(IN_RAM)} keeps them in RAM."
            if "override_tensors" in task.pinned
            else "RAM has no room for them, or they would be there."
        )
        yield (
            f"{gib(copied)} of experts' down matrices are copied from {_named(uses)} to RAM for each token, since "
            f"llama.cpp has the processor compute with them: that alone takes {copied / COPIED:.1f} s or so. {mend}"
        )


def _because(role: str) -> str:
    if role == "experts":
        return "each token uses only some of them, so they are what a GPU needs least"
    return "that fills the GPU better than whole layers would"


def _named(uses: Sequence[DeviceUse]) -> str:
    taken = [use for use in uses[:-1] if use.needed]
    return " and ".join(f"{use.name} ({use.layers})" if len(taken) > 1 else use.name for use in taken) or "no GPU"


def _too_large(task: Task, uses: Sequence[DeviceUse]) -> Iterator[str]:
    missing = sum(max(0, use.needed + use.shared + use.margin - use.free) for use in uses if use.needed)
    needed = sum(use.needed for use in uses)
    yield f"It needs {gib(needed)}, and {gib(missing)} of that do not fit into this memory."
    ram = uses[-1]
    over = ram.needed + ram.shared + ram.margin - ram.free
    read = min(1.0, over / max(1, ram.weights)) * ram.weights * _active(task)
    if read > 0:  # a file made by chance may have layers without weights
        yield (
            f"Loaded all the same, {gib(int(read))} or more would be read from the disk for each token: "
            f"at best {speed(DISK_BANDWIDTH / read)} tok/s from a good SSD."
        )
    elif task.pinned:
        yield "Pin fewer options, or smaller values."


def _active(task: Task) -> float:
    """The share of its weights that a token reads."""
    total = sum(weight.ram for weight in task.shape.weights if weight.layer is not None)
    return sum(weight.read for weight in task.shape.weights) / max(1, total)


def _context(task: Task, choice: Choice) -> Iterator[str]:
    size, wanted, reason = choice.found.layout.size, task.wanted_context, choice.reason
    other = choice.other
    where = "in RAM" if task.on_cpu else "on the GPU"
    if task.pinned_context is not None:
        yield f"The context is {size.context:,} tokens, as asked."
    elif size.context >= wanted:
        yield f"The context is {size.context:,} tokens, the default; --context asks for another."
    elif reason == "shrunk" or task.pins_a_part:
        yield f"The context is {size.context:,} tokens: there is no room for the default of {wanted:,}."
    else:
        yield f"The context is {size.context:,} tokens, the longest that keeps all {where}; the default is {wanted:,}."
    if reason == "q8_0 longer" and other is not None:
        yield f"The KV cache is q8_0: with f16 the context would be {other.layout.size.context:,} tokens."
    elif reason == "q8_0 longer":
        yield "The KV cache is q8_0: with f16 there is no room for it. Answers hardly change."
    elif reason == "q8_0 faster" and other is not None:
        yield (
            f"The KV cache is q8_0: with f16 fewer layers fit on the GPU, and it would be {speed(other.tok_s)} instead "
            f"of {speed(choice.found.tok_s)} tok/s at most."
        )
    elif reason == "small batch":
        yield f"Prompts are read {choice.batch} tokens at a time, so that all fits on the GPU; 512 would be faster."


def _images(task: Task) -> Iterator[str]:
    if task.projector:
        yield (
            f"{gib(task.projector + task.pictures)} of it are kept for when images are used: the weights of what sees "
            f"them, about what the largest takes while it is encoded, and up to {gib(task.pictures)} of encoded ones; "
            "--mmproj none plans without."
        )


def _kept_free(uses: Sequence[DeviceUse]) -> Iterator[str]:
    margins = [f"{gib(use.margin)} of {use.name}" for use in uses if use.needed and use.margin]
    yield f"Left free for the system, the display and other programs: {' and '.join(margins)}."


def _how_known(task: Task, uses: Sequence[DeviceUse]) -> Iterator[str]:
    if not task.exact:
        yield "The weights are scaled from another quant of this model, by the files' sizes."
    if uses[-1].compute_known == "estimated":
        yield "Compute buffers are estimated: llama.cpp was not asked, or can only be asked about the machine it is on."
    if not task.shape.known:
        yield f"How {task.shape.architecture} models keep their cache is not known here: it is counted in full."
