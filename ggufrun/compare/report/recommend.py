"""Which row to use, in one sentence with its reason: the closest to the reference that fits and is fast enough

Where rows cannot be told apart, the smallest of them. Near the reference the convention for near lossless decides:
hardly anything is ever tied with a divergence of 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ggufrun.compare.report.nothing_fits import nothing_fits
from ggufrun.compare.report.ties import compared, is_noise, tied_with
from ggufrun.compare.report.wanted import Wanted
from ggufrun.compare.report.words import CLEAR_LOSS, NEAR_LOSSLESS, band, printable
from ggufrun.compare.results import Pair, Quality, Recommendation, Role, Row
from ggufrun.figures import gb, gib, nats, speed


@dataclass(frozen=True, slots=True)
class _Choice:
    """`best` is the closest to the reference of those that serve, `row` the one to use, and `why` says why."""

    row: Row
    best: Row
    why: str


def recommend(
    rows: Sequence[Row],
    pairs: Sequence[Pair],
    noise: float | None,
    *,
    min_tok_s: float | None = None,
    context: int | None = None,
    machine: str = "this machine",
) -> Recommendation:
    """`pairs` are those of ppl mode, or of chat mode where no row has ppl mode. `machine`: "this 24 GB card"."""
    wanted = Wanted(min_tok_s, context, machine)
    modes = [row.ppl for row in rows if row.role is Role.QUANT]
    by_ppl = any(modes) or not any(row.chat for row in rows)
    measured = [row for row in compared(rows) if not row.error and _quality(row, by_ppl)]
    serving = sorted((row for row in measured if wanted.serves(row)), key=lambda row: _kld(row, by_ppl))
    if not serving:
        return Recommendation(None, nothing_fits(compared(rows), measured, wanted))
    choice = _choose(serving, pairs, noise, by_ppl)
    others = [row for row in serving if row is not choice.row]
    *first, last = choice.why, *_conditions(choice.row, wanted)
    told = f"{', '.join(first)} and {last}" if first else last
    sentence = f"{printable(choice.row.name)}: {told}{_warning(choice.row, by_ppl)}"
    closer = [row for row in measured if row not in serving and _kld(row, by_ppl) < _kld(choice.best, by_ppl)]
    if closer:
        sentence += f"; {wanted.named_refusal(max(closer, key=lambda row: _kld(row, by_ppl)))}"
    if others:
        following = choice.best if choice.best is not choice.row else others[0]
        sentence += f"; next: {_beside(following, choice.row, by_ppl)}"
    missing = [printable(row.name) for row in compared(rows) if row not in measured]
    if missing:
        sentence += f"; not measured: {', '.join(missing)}"
    return Recommendation(choice.row.name, f"{sentence}.")


def _choose(serving: Sequence[Row], pairs: Sequence[Pair], noise: float | None, by_ppl: bool) -> _Choice:
    """`serving` by its divergence, the closest first."""
    best = serving[0]
    tied = [row for row in serving if row.name in tied_with(best.name, pairs)]
    if best.role is Role.REFERENCE:
        tied += [row for row in serving if is_noise(_quality(row, by_ppl), noise)]
    smallest = _smallest([best, *tied])
    lossless = [row for row in serving if _is_near_lossless(row, by_ppl)]
    if lossless and (smaller := _smallest([smallest, *lossless])) is not smallest:
        figure = nats(_kld(smaller, by_ppl))
        return _Choice(
            smaller, best, f"smallest that is near lossless by convention (KL divergence {figure} on your text)"
        )
    if smallest is not best:
        return _Choice(smallest, best, f"smallest that is within the noise of {printable(best.name)} on your text")
    if best.role is Role.REFERENCE:
        alone = "the only one that will do"
        others = "nothing smaller that was measured is as good on your text"
        return _Choice(best, best, f"the reference itself ({alone if len(serving) == 1 else others})")
    figure = nats(_kld(best, by_ppl))
    among = "the only one" if len(serving) == 1 else "the closest to the reference of those"
    return _Choice(best, best, f"{among} that will do (KL divergence {figure} on your text)")


def _conditions(row: Row, wanted: Wanted) -> Iterator[str]:
    """What it leaves free, where that is known, and how fast it is, where that was asked for."""
    left = row.memory.left if row.memory else None
    if left is not None:
        yield f"leaves {gib(left)} {'beside ' if wanted.context else 'on '}{wanted.place}"
    if wanted.min_tok_s and row.speed:
        yield f"writes {speed(row.speed.tg.value)} tokens/s ({speed(wanted.min_tok_s)} asked for)"


def _beside(row: Row, chosen: Row, by_ppl: bool) -> str:
    """Another row, beside the chosen one: how close it is to the reference, how large and how fast."""
    told = ["the reference" if row.role is Role.REFERENCE else f"KL divergence {nats(_kld(row, by_ppl))}"]
    if row.bytes != chosen.bytes:
        told.append(f"{gb(abs(row.bytes - chosen.bytes))} {'larger' if row.bytes > chosen.bytes else 'smaller'}")
    if row.speed and chosen.speed and chosen.speed.tg.value > 0:
        times = row.speed.tg.value / chosen.speed.tg.value
        if not 0.95 < times < 1.05:
            told.append(f"{times:.2g}× as fast")
    return f"{printable(row.name)} ({', '.join(told)})"


def _warning(row: Row, by_ppl: bool) -> str:
    kld = _kld(row, by_ppl)
    if kld < CLEAR_LOSS:
        return ""
    return f", but that is {band(kld)} by convention: a smaller model in a higher quant may well be better"


def _is_near_lossless(row: Row, by_ppl: bool) -> bool:
    """With its whole interval."""
    quality = _quality(row, by_ppl)
    if quality is None:
        return False
    kld = quality.kld_mean
    return (kld.value if kld.hi is None else kld.hi) < NEAR_LOSSLESS


def _smallest(rows: Sequence[Row]) -> Row:
    """By what they take of memory where that is known of all, else by their files."""
    planned = {row.name: row.memory.planned for row in rows if row.memory and row.memory.planned}
    by_memory = all(row.name in planned for row in rows)
    return min(rows, key=lambda row: (planned[row.name] if by_memory else row.bytes, row.bytes))


def _quality(row: Row, by_ppl: bool) -> Quality | None:
    return row.ppl if by_ppl else row.chat


def _kld(row: Row, by_ppl: bool) -> float:
    quality = _quality(row, by_ppl)
    return 0.0 if row.role is Role.REFERENCE or quality is None else quality.kld_mean.value
