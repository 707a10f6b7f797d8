"""Reads the option values that have a notation of their own. Each raises `OptionError` with the notation."""

import math
import re
from pathlib import Path
from typing import Final, Literal

from ggufrun.errors import ModelFileError, OptionError
from ggufrun.settings import LoraSpec

_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(s|m|h|d|)")
_TOKENS: Final = re.compile(r"(\d{1,9})([kK]?)")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def duration(text: str, option: str, least: float = 0.0) -> float:
    """Seconds, from `90`, `90s`, `10m`, `2h` or `1d`."""
    match = _DURATION.fullmatch(text)
    seconds = float(match[1]) * _SECONDS[match[2]] if match else -1.0
    if seconds < least:
        raise OptionError(f"{option} cannot be {text!r}.", "Write it as 90s, 10m or 2h.")
    return seconds


def tokens(text: str, option: str) -> int:
    """A count of tokens, `32768` or `32k`."""
    match = _TOKENS.fullmatch(text)
    if match is None:
        raise OptionError(f"{option} cannot be {text!r}.", "Write it as 32768 or 32k.")
    return int(match[1]) * (1024 if match[2] else 1)


def gpu_layers(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    try:
        return int(text)
    except ValueError as error:
        raise OptionError(f"--gpu-layers cannot be {text!r}.", "Use a whole number, or auto.") from error


def split_devices(values: list[str]) -> tuple[str, ...]:
    """Device names, given one by one or with commas as llama.cpp takes them."""
    names = tuple(name.strip() for value in values for name in value.split(","))
    if not all(names):
        raise OptionError("--device has an empty name.", "Write it as --device CUDA0,CUDA1.")
    return names


def tensor_split(text: str) -> tuple[float, ...]:
    """Shares of the devices: numbers of any sum, at least one above 0."""
    try:
        shares = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise OptionError(f"--tensor-split cannot be {text!r}.", "Use numbers with commas, as in 3,1.") from error
    if not all(share >= 0 and math.isfinite(share) for share in shares) or not any(shares):
        raise OptionError(f"--tensor-split cannot be {text!r}.", "Shares are 0 or more, and one is above 0.")
    return shares


def split_overrides(values: list[str]) -> tuple[str, ...]:
    """`regex=buffer type` entries; commas separate several where each part has its `=` (a regex may hold commas)."""
    entries: list[str] = []
    for value in values:
        parts = value.split(",")
        entries += parts if all("=" in part for part in parts) else [value]
    for entry in entries:
        pattern, equals, buffer = entry.rpartition("=")
        if not (pattern and equals and buffer):
            raise OptionError(f"--override-tensor cannot be {entry!r}.", "Write it as REGEX=BUFFER, as in exps=CPU.")
    return tuple(entries)


def lora(text: str) -> LoraSpec:
    """`FILE` or `FILE:SCALE`. A file of the whole name comes first, and a Windows drive letter is no file name."""
    head, colon, tail = text.rpartition(":")
    if not colon or len(head) == 1 or Path(text).is_file():
        return LoraSpec(_adapter(text))
    try:
        scale = float(tail)
    except ValueError:
        return LoraSpec(_adapter(text))
    if not math.isfinite(scale):
        raise OptionError(f"--lora {text}: a scale cannot be {tail}.", "Use a number, as in FILE:0.5.")
    return LoraSpec(_adapter(head), scale)


def _adapter(name: str) -> Path:
    path = Path(name).expanduser()
    if not path.is_file():
        reason = "a directory, not a LoRA file" if path.is_dir() else "no such file"
        raise ModelFileError(path, reason, "Give --lora FILE or FILE:SCALE.")
    return path
