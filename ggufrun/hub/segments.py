"""Which bytes of a file are here, and which are missing: spans, and nothing but arithmetic on them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The bytes from `start` up to `end`, which is not one of them."""

    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """In order, and one span where two touch or overlap."""
    result: list[Span] = []
    for span in sorted(each for each in spans if each.size > 0):
        if result and span.start <= result[-1].end:
            result[-1] = Span(result[-1].start, max(result[-1].end, span.end))
        else:
            result.append(span)
    return tuple(result)


def missing(done: Sequence[Span], whole: Span) -> tuple[Span, ...]:
    """What of `whole` is in none of the merged spans `done`."""
    result, at = [], whole.start
    for span in done:
        if span.end <= at:
            continue
        if span.start >= whole.end:
            break
        if span.start > at:
            result.append(Span(at, span.start))
        at = span.end
    if at < whole.end:
        result.append(Span(at, whole.end))
    return tuple(result)


def pieces(spans: Iterable[Span], most: int) -> list[Span]:
    """The same bytes in spans of at most so many."""
    return [Span(start, min(start + most, span.end)) for span in spans for start in range(span.start, span.end, most)]


def piece_size(size: int, workers: int) -> int:
    """How much one request asks for: enough that its round trip does not count, and not so much that a worker idles."""
    return min(32 * MIB, max(MIB, size // (4 * workers)))
