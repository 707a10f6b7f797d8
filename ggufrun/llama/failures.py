"""From llama.cpp's own words to one-line errors. The calls that fail are elsewhere."""

import re
from collections.abc import Sequence
from pathlib import Path

from ggufrun.errors import InputError, ModelFileError, OptionError, OutOfMemory
from ggufrun.llama import library
from ggufrun.weights.header import Header
from ggufrun.weights.split_set import read_set

_MEMORY = re.compile(r"out of memory|(?:failed|unable) to (?:allocate|reserve)|alloc_buffer|bad_alloc", re.I)
_FUNCTION = re.compile(r"^(?:\w+: )+(?:error loading model(?: \w+)?: |failed to apply lora adapter: )*")
_GENERAL = re.compile(r"failed to load model|exiting|unable to load model|^$", re.I)

# (what llama.cpp says, the reason in our words, what to do next)
_MODEL_REASONS = (
    (r"not within the file bounds|corrupted or incomplete|unexpectedly reached end", "is truncated",
     "Download it again."),
    (r"unknown model architecture: '(?P<it>[^']*)'", "its architecture {it!r} is unknown to this llama.cpp",
     "Update llama-cpp-python, or choose another model."),
    (r"illegal split file idx|must be loaded with the first split", "is not the first file of its split set",
     "Give the first file, the one with 00001-of in its name."),
    (r"failed to load GGUF split from (?P<it>.*)", "a file of its split set is missing or damaged: {it}",
     "Download the whole set into one folder."),
    (r"unknown pre-tokenizer type: '(?P<it>[^']*)'", "its tokenizer {it!r} is unknown to this llama.cpp",
     "Update llama-cpp-python, or choose another model."),
    (r"CLIP cannot be used", "is a vision projector (mmproj), not a language model", "Give the language model's file."),
    (r"invalid magic", "is not a GGUF file", "Give the path of a .gguf file."),
)  # fmt: skip


def check_file(path: Path) -> tuple[Header, ...]:
    """Refuse what our own reader refuses, of a split set any file: llama.cpp only ever sees what was looked through.

    It ends the process over some damaged headers. Returns them all. Raises ModelFileError.
    """
    return read_set(path)


def reason(lines: Sequence[str]) -> str:
    """The most telling of llama.cpp's log lines, without the functions' names."""
    told = [stripped for line in lines if not _GENERAL.search(stripped := _FUNCTION.sub("", line).strip(" ."))]
    return " ".join(told[-1].split()) if told else "llama.cpp gave no reason"


def model_failure(path: Path, lines: Sequence[str]) -> InputError:
    """The error for a model that did not load."""
    text = "\n".join(lines)
    if _MEMORY.search(text):
        fewer = ", or offload fewer layers with --gpu-layers" if library.supports_gpu() else ""
        hint = f"Choose a smaller quant{fewer}."
        return OutOfMemory(f"{path} does not fit in memory: {reason(lines)}.", hint)
    if "regex" in text or "regular expression" in text:
        return OptionError(f"--override-tensor: {reason(lines)}.", 'Write it as "regex=buffer type".')
    for pattern, words, hint in _MODEL_REASONS:
        if found := re.search(pattern, text):
            return ModelFileError(path, words.format_map(found.groupdict()), hint)
    return ModelFileError(path, f"llama.cpp cannot load it: {reason(lines)}", "Check the file, or download it again.")


def context_failure(context: int, lines: Sequence[str]) -> InputError:
    """The error for a context that was not made. Without a reason it is memory: backends do not always say so."""
    text = "\n".join(lines)
    if "quantized V cache requires flash_attn" in text:
        return OptionError("A quantized KV cache needs flash attention.", "Drop --flash-attn off or --kv-type.")
    if "does not divide" in text:
        return OptionError(f"This model cannot have such a KV cache: {reason(lines)}.", "Use --kv-type f16.")
    if _MEMORY.search(text) or not lines:
        return OutOfMemory(f"A context of {context} tokens does not fit in memory.", "Use a smaller --context.")
    hint = "Try another --context, --kv-type or --flash-attn."
    return OptionError(f"The context could not be made: {reason(lines)}.", hint)
