"""What is compared, as values: files and KV caches as rows, the reference among them, and the text"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from ggufrun.compare.results import Role
from ggufrun.compare.run.contender import Contender, is_one_model
from ggufrun.compare.run.mode import MODES, Mode
from ggufrun.compare.run.vocabularies import check_same
from ggufrun.compare.texts.source import Source
from ggufrun.errors import InputError, OptionError
from ggufrun.settings import KvType, ModelOverrides

CHUNK: Final = 512  # tokens, as llama-perplexity has it
BATCH: Final = 512  # rows
NOISE_BATCH: Final = 201  # rows: on GPUs other shapes for every product; on the processor the other attention differs
PLAIN: Final[KvType] = "f16"
_BEST: Final = ("BF16", "F32", "F16", "Q8_0")


@dataclass(frozen=True, slots=True)
class RowPlan:
    """One line of the table. `name` is unlike the others'."""

    name: str
    contender: Contender
    kv_type: KvType
    role: Role


@dataclass(frozen=True, slots=True)
class Aims:
    """What the recommendation must respect; None: whatever comes. `gpu` and `ram` as --gpu and --ram have them."""

    min_tok_s: float | None = None
    context: int | None = None
    gpu: str | None = None
    ram: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """`chosen`: the reference was not asked for, so that another may do where it does not load."""

    model: str
    contenders: tuple[Contender, ...]
    reference: Contender
    kv_types: tuple[KvType, ...]
    source: Source
    cache: Path
    mode: Mode = MODES["default"]
    tasks: tuple[str, ...] = ()
    overrides: ModelOverrides = field(default_factory=ModelOverrides)
    aims: Aims = Aims()
    chosen: bool = True

    @property
    def title(self) -> str:
        count = len(self.contenders)
        what = "quant" if is_one_model(self.contenders) else "file"
        return f"{self.model}, {count} {what}{'s' if count > 1 else ''}"

    @property
    def rows(self) -> tuple[RowPlan, ...]:
        """The reference first, then what says how far to trust the others, then these."""
        first = RowPlan(self.reference.name, self.reference, PLAIN, Role.REFERENCE)
        again = replace(first, name=f"{first.name} (again)", role=Role.SELF)
        noise = replace(first, name=f"{first.name} (noise)", role=Role.NOISE)
        others = (
            RowPlan(_row_name(each, kv_type), each, kv_type, Role.QUANT)
            for each in self.contenders
            for kv_type in self.kv_types
            if (each, kv_type) != (self.reference, PLAIN)
        )
        return first, again, noise, *others

    def without_reference(self, why: str) -> "Plan":
        """With the next best one, since this one does not load. Raises OptionError where there is none."""
        lost = replace(self.reference, error=why)
        rest = tuple(lost if each is self.reference else each for each in self.contenders)
        able = [each for each in rest if each.error is None]
        if not able:
            raise OptionError(f"No model is left to compare with: {why}", "Name other files.")
        return replace(self, contenders=rest, reference=best(able))


def make_plan(
    model: str,
    contenders: Sequence[Contender],
    source: Source,
    cache: Path,
    *,
    kv_types: Sequence[KvType] = (PLAIN,),
    reference: str | None = None,
    mode: Mode = MODES["default"],
) -> Plan:
    """`reference`: a contender's name; None: the best. Raises InputError where nothing can be compared."""
    able = [each for each in contenders if each.error is None]
    if not able:
        raise InputError(f"{contenders[0].path}: {contenders[0].error}")
    chosen = best(able) if reference is None else _called(reference, contenders)
    check_same(chosen, [each for each in able if each is not chosen])
    kinds = tuple(dict.fromkeys(kv_types)) or (PLAIN,)
    if len(able) == 1 and kinds == (PLAIN,):
        lost = "".join(f" {each.path.name} cannot take part: {each.error}" for each in contenders if each.error)
        alone = f"There is one model only, and nothing to compare it with.{lost}"
        raise OptionError(alone, "Name several, or --kv-types.")
    return Plan(
        model, tuple(contenders), chosen, kinds, source, cache, mode, tasks=mode.tasks, chosen=reference is None
    )


def best(able: Sequence[Contender]) -> Contender:
    """BF16 before F16 before Q8_0 before the largest, of one at least."""
    whole = [each for label in _BEST for each in able if each.quant == label]
    return whole[0] if whole else max(able, key=lambda each: each.size)


def _called(name: str, contenders: Sequence[Contender]) -> Contender:
    there = ", ".join(each.name for each in contenders)
    by_name = ((each, (each.name, str(each.path), each.path.name, each.quant)) for each in contenders)
    called = [(each, [name.lower() for name in names]) for each, names in by_name]
    for kind in range(4):
        found = [each for each, names in called if names[kind] == name.lower()]
        if len(found) > 1:
            raise OptionError(f"--reference: {name!r} is {len(found)} of the files.", f"Give one of: {there}.")
        if found:
            found[0].header  # noqa: B018  # raises where it cannot be the reference
            return found[0]
    raise OptionError(f"--reference: {name!r} is not compared.", f"There are: {there}.")


def _row_name(contender: Contender, kv_type: KvType) -> str:
    return contender.name if kv_type == PLAIN else f"{contender.name} kv {kv_type}"
