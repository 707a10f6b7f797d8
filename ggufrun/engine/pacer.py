"""What a decode costs in time, learned as they run: sizes prefill chunks and says whether a draft pays."""

from itertools import pairwise

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
SMOOTH = 0.2


class Pacer:
    """Smoothed seconds by number of rows. `gap_s` is the longest step that running streams should notice."""

    def __init__(self, gap_s: float) -> None:
        self._gap = gap_s
        self._seconds: dict[int, float] = {}  # by size bucket: seconds a row
        self._prefill_row: float | None = None

    def record(self, rows: int, prefill_rows: int, seconds: float) -> None:
        """One decode of `rows` rows, `prefill_rows` of them prompt, took `seconds`."""
        if prefill_rows == 0:
            self._smooth(self._bucket(rows), seconds / rows)
        elif prefill_rows >= 16:
            generating = self.seconds(rows - prefill_rows) if rows > prefill_rows else 0.0
            row = max(seconds - generating, 0.1 * seconds) / prefill_rows
            old = self._prefill_row
            # A slower machine must be noticed at once, a faster one may be learned slowly.
            self._prefill_row = row if old is None or row > old else old + SMOOTH * (row - old)

    def chunk(self, generating: int, most: int) -> int:
        """Prompt rows that fit into one step beside `generating` rows without breaking the gap."""
        if self._prefill_row is None:
            return min(32, most)
        spare = self._gap - self.seconds(generating)
        return max(16, min(most, int(spare / self._prefill_row)))

    def seconds(self, rows: int) -> float:
        """Expected seconds of a decode of `rows` single-token rows; 0 while nothing is known."""
        if rows <= 0 or not self._seconds:
            return 0.0
        known = sorted(self._seconds)
        if rows <= known[0]:
            return self._seconds[known[0]] * rows
        for low, high in pairwise(known):
            if rows <= high:
                share = (rows - low) / (high - low)
                return (1 - share) * self._seconds[low] * low + share * self._seconds[high] * high
        last = known[-1]
        row = min(self._prefill_row or self._seconds[last], self._seconds[last])
        return self._seconds[last] * last + (rows - last) * row

    def draft_length(self, rows: int, streams: int, acceptance: float, most: int) -> int:
        """How many guessed tokens to verify beside `rows` rows of `streams` streams; 0 where none pays."""
        best, best_rate = 0, streams / max(self.seconds(rows), 1e-9)
        for length in (3, 7, 15, 31, 47):
            if length > most:
                break
            expected = sum(acceptance**i for i in range(1, length + 1))
            rate = (streams + expected) / max(self.seconds(rows + length), 1e-9)
            if rate > 1.05 * best_rate:
                best, best_rate = length, rate
        return best

    def _smooth(self, bucket: int, row: float) -> None:
        old = self._seconds.get(bucket)
        self._seconds[bucket] = row if old is None else old + SMOOTH * (row - old)

    @staticmethod
    def _bucket(rows: int) -> int:
        return min(SIZES, key=lambda size: abs(size - rows))
