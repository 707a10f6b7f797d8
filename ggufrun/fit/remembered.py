"""The plans that worked, kept in a folder: one small JSON file each, so that none is ever rewritten for another.

A plan is found again by the model's files, the devices, the build of llama.cpp and what the user wanted.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import TypeAdapter, ValidationError

from ggufrun.errors import OptionError
from ggufrun.settings import FlashAttention, KvType, ModelSettings

FOLDER: Final = "plans"  # in the data folder
KNOBS: Final = (  # what plans decide of `ModelSettings`
    *("context", "kv_type", "gpu_layers", "flash_attention", "devices", "tensor_split", "override_tensors"),
)
_START: Final = 1 << 20  # bytes of a file that tell it from others: its header, or most of it
_MOST: Final = 200  # plans; the oldest go first
_LESS: Final = 0.9  # of the memory that was free then: with less, the plan may not fit any more
_MORE: Final = 1.25  # with so much, what was given up may not have to be


@dataclass(frozen=True, slots=True)
class Remembered:
    """The knobs of a plan that worked, as the settings have them, and each device's free bytes just before."""

    context: int | None
    kv_type: KvType
    gpu_layers: int | Literal["auto"]
    flash_attention: FlashAttention
    devices: tuple[str, ...]
    tensor_split: tuple[float, ...]
    override_tensors: tuple[str, ...]
    batch: int
    free: Mapping[str, int]
    given_up: str = ""  # on the ladder
    note: str = ""  # what the user was told of the plan

    @classmethod
    def of(cls, settings: ModelSettings, batch: int, free: Mapping[str, int]) -> "Remembered":
        knobs: dict[str, Any] = {name: getattr(settings, name) for name in KNOBS}
        return cls(**knobs, batch=batch, free=free)

    def settings(self, others: ModelSettings) -> ModelSettings:
        """All that is no knob of a plan is `others`'. Raises OptionError where the knobs contradict it."""
        knobs: dict[str, Any] = {name: getattr(self, name) for name in KNOBS}
        return replace(others, **knobs)

    def suits(self, free: Mapping[str, int]) -> bool:
        """Whether it can be expected to work with so much free memory, and to be the best that can be had."""
        if free.keys() != self.free.keys():
            return False
        shares = [free[name] / max(1, before) for name, before in self.free.items()]
        return min(shares, default=1.0) >= _LESS and not (self.reduced and max(shares, default=1.0) > _MORE)

    @property
    def reduced(self) -> bool:
        """Whether more memory may make it better: something was given up, when it was loaded or when it was planned."""
        return bool(self.given_up or self.note)


@cache
def _stored() -> TypeAdapter[Remembered]:
    """Made on first use: it takes a few milliseconds that most starts have no need for."""
    return TypeAdapter(Remembered)


def key_of(files: Iterable[Path], devices: Mapping[str, int], build: str, wanted: object) -> str:
    """`devices`: their whole memory by name. `wanted` is known by its repr. Raises OSError where a file is gone."""
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            total.update(f"{path.stat().st_size} {hashlib.sha256(file.read(_START)).hexdigest()}\n".encode())
    total.update(repr((sorted(devices.items()), build, wanted)).encode())
    return total.hexdigest()[:32]


class RememberedPlans:
    """Those of one folder. What cannot be read or written is as if it were not there: a plan can be made again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def empty(self) -> bool:
        """Whether a key need not be made: nothing can be found."""
        return not self._folder.is_dir()

    def find(self, key: str) -> Remembered | None:
        try:
            plan = _stored().validate_json(self._path(key).read_bytes())
            plan.settings(ModelSettings(Path()))
        except (OSError, ValidationError, OptionError):
            return None
        return plan

    def keep(self, key: str, plan: Remembered) -> None:
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, unfinished = tempfile.mkstemp(suffix=".tmp", dir=self._folder)
            with open(handle, "wb") as file:
                file.write(_stored().dump_json(plan))
            os.replace(unfinished, self._path(key))
            self._drop_oldest()

    def forget(self, key: str) -> None:
        with contextlib.suppress(OSError):
            self._path(key).unlink()

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"

    def _drop_oldest(self) -> None:
        """What killed processes left half-written goes with them."""
        found = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime)
        for path in found[:-_MOST]:
            path.unlink(missing_ok=True)
