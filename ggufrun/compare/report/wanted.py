"""What a row has to do to be recommended: fit with the context that was asked for, and write fast enough"""

from dataclasses import dataclass

from ggufrun.compare.report.words import printable, tokens
from ggufrun.compare.results import Row
from ggufrun.figures import speed


@dataclass(frozen=True, slots=True)
class Wanted:
    """`machine`: "this machine", "this 24 GB card"."""

    min_tok_s: float | None
    context: int | None
    machine: str

    def serves(self, row: Row) -> bool:
        return self.fits(row) and self.is_fast(row)

    def fits(self, row: Row) -> bool:
        """What nobody knows counts as fitting: it has just been run."""
        memory = row.memory
        if memory is None:
            return True
        if memory.left is not None and memory.left < 0:
            return False
        return self.context is None or memory.fits_context is None or memory.fits_context >= self.context

    def is_fast(self, row: Row) -> bool:
        """What was not measured is not: it was asked for."""
        if not self.min_tok_s:
            return True
        return row.speed is not None and row.speed.tg.value >= self.min_tok_s

    @property
    def place(self) -> str:
        """`48k of context on this 24 GB card`"""
        return f"{self.of_context} on {self.machine}" if self.context else self.machine

    @property
    def of_context(self) -> str:
        count = tokens(self.context or 0)
        return f"{count} of context" if count.endswith("k") else f"a context of {count}"

    def refusal(self, row: Row) -> str:
        """Why it does not serve: `has no room for 48k of context`."""
        if not self.fits(row):
            return f"has no room for {self.of_context}" if self.context else "does not fit"
        if row.speed is None:
            return "its speed was not measured"
        return f"writes {speed(row.speed.tg.value)} tokens/s"

    def named_refusal(self, row: Row) -> str:
        return f"{printable(row.name)} is closer, but {self.refusal(row)}"
