"""What a reader has to know before the figures are believed: the self-test, and positions that were no numbers"""

from collections.abc import Iterator

from ggufrun.compare.results import Quality, Report, Role
from ggufrun.figures import nats

SELF_TEST_PASSED = "Self-test: the reference against itself is exactly 0, as it has to be."


def warnings(report: Report) -> tuple[str, ...]:
    return tuple(_warnings(report))


def passed(report: Report) -> bool:
    """Whether the self-test was made, and the reference is identical to itself."""
    found = [each for row in report.rows if row.role is Role.SELF for each in (row.ppl, row.chat) if each]
    return bool(found) and all(map(_is_identical, found))


def _warnings(report: Report) -> Iterator[str]:
    for row in report.rows:
        for mode, quality in (("ppl mode", row.ppl), ("chat mode", row.chat)):
            if quality is None:
                continue
            if row.role is Role.SELF and not _is_identical(quality):
                kld = nats(quality.kld_mean.value)
                failed = f"The self-test failed in {mode}: the reference is {kld} nats from itself"
                yield f"{failed}. Do not trust these figures."
            if quality.not_finite:
                count, all_of_it = f"{quality.not_finite:,}", f"{quality.positions + quality.not_finite:,}"
                yield f"{row.name}: {count} of {all_of_it} positions in {mode} were no numbers, and are left out."


def _is_identical(quality: Quality) -> bool:
    return quality.kld_max == 0 and quality.kld_mean.value == 0 and quality.top1_agreement.value == 1
