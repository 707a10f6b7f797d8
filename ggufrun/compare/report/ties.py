"""Which rows cannot be told apart: tied with each other, or with the reference because they are below the noise"""

from collections.abc import Sequence

from ggufrun.compare.results import Pair, Quality, Report, Role, Row


def compared(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Those that one could use: not the self-test, not the noise."""
    return tuple(row for row in rows if row.role in (Role.REFERENCE, Role.QUANT))


def tied_with(name: str, pairs: Sequence[Pair]) -> frozenset[str]:
    """By what the bootstrap says of the two."""
    tied = (pair for pair in pairs if pair.is_tied and name in (pair.a, pair.b))
    return frozenset(pair.b if pair.a == name else pair.a for pair in tied)


def is_noise(quality: Quality | None, noise: float | None) -> bool:
    """No further from the reference than the reference itself, computed in another order."""
    return quality is not None and noise is not None and quality.kld_mean.value <= noise


def ties(row: Row, report: Report) -> tuple[str, ...]:
    """Names of the rows that this one is tied with, in ppl mode, in the table's order."""
    usable = compared(report.rows)
    if row not in usable:
        return ()
    names = set(tied_with(row.name, report.pairs))
    if row.role is Role.QUANT and is_noise(row.ppl, report.noise):
        names.add(report.reference)
    return tuple(each.name for each in usable if each.name in names and each.name != row.name)
