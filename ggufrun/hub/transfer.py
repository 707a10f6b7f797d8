"""Brings what a partial file lacks: several ranges at once, each tried again where that may help.

How much a kill costs: a chunk, which is what all workers have under way together. A worker writes and records what it
has each MiB (or second, whichever is first), not only at the end of its range; so at most WORKERS x 1 MiB are lost,
and what the sockets' buffers hold.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ggufrun.errors import GgufrunError
from ggufrun.figures import gb_of
from ggufrun.hub.partial import Closed, Partial
from ggufrun.hub.segments import MIB, Span, piece_size, pieces
from ggufrun.hub.source import Again, Answer, Source
from ggufrun.hub_errors import HubError

WORKERS: Final = 4
_MARK_S: Final = 1.0
_PARTING_S: Final = 1.0  # for the other threads to see that it is over; one that waits for bytes is left behind


@dataclass(frozen=True, slots=True)
class Patience:
    """How often to try again what failed, and how long to wait before.

    A MiB that came (of a small range a part of it) is a new beginning.
    """

    tries: int = 7  # one after another, before anything has come
    tries_later: int = 12  # a line that was good is waited for longer: three minutes in all
    tries_wrong: int = 3  # where what comes is not the file
    first_s: float = 0.5  # doubled with each failure
    longest_s: float = 30
    asked_s: float = 300  # a server that asks for more than that is not waited for


class RangesIgnored(Exception):
    """The server answers each range with the whole file."""


def fetch(
    partial: Partial,
    source: Source,
    stop: threading.Event,
    on_bytes: Callable[[], None],
    patience: Patience | None = None,
) -> None:
    """Returns when nothing is missing. HubRefused, HubError and DiskFull leave the partial to the next try.

    `on_bytes` is called from any thread when something was written. Stopped, this returns soon, and interrupted, it
    raises at once; threads that still wait for bytes write none of them.
    """
    patience = patience or Patience()
    crew = _Crew(partial, source, stop, on_bytes, patience)
    try:
        crew.run(WORKERS)
    except RangesIgnored:
        _Crew(partial, source, stop, on_bytes, patience, ranges=False).run(1)


class _Crew:
    """The threads of one file. The first failure ends all."""

    def __init__(
        self,
        partial: Partial,
        source: Source,
        stop: threading.Event,
        on_bytes: Callable[[], None],
        patience: Patience,
        ranges: bool = True,
    ) -> None:
        self._partial, self._source, self._stop = partial, source, stop
        self._on_bytes, self._patience, self._ranges = on_bytes, patience, ranges
        whole = Span(0, partial.subject.size)
        most = piece_size(whole.size, WORKERS) if ranges else whole.size
        self._todo = deque(pieces(partial.missing(whole), most) if ranges else [whole])
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._came = False
        self._quiet_until = 0.0  # a server that asks for a pause gets it from all

    def run(self, workers: int) -> None:
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(min(workers, len(self._todo)))]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive() and not self._ended.is_set():
                    thread.join(0.1)
                    if self._stop.is_set():
                        self._ended.set()
        finally:
            self._ended.set()
        until = time.monotonic() + _PARTING_S
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            while not self._ended.is_set():
                try:
                    piece = self._todo.popleft()
                except IndexError:
                    return
                self._bring(piece)
        except Closed:
            return
        except BaseException as error:  # the thread ends here; who waits for it raises
            if self._failure is None:
                self._failure = error
            self._ended.set()

    def _bring(self, piece: Span) -> None:
        failures, ignored = 0, 0
        while (rest := self._partial.missing(piece)) and not self._ended.is_set():
            lacking = sum(span.size for span in rest)
            self._ended.wait(max(0.0, self._quiet_until - time.monotonic()))
            try:
                self._stream(rest[0], piece)
            except RangesIgnored:
                ignored += 1
                if ignored == 3:  # once may be an accident, and going on without ranges costs what is here already
                    raise
            except Again as again:
                came = lacking - sum(span.size for span in self._partial.missing(piece))
                failures = 1 if came >= min(MIB, max(1, piece.size // 16)) else failures + 1
                self._wait(again, failures)

    def _stream(self, span: Span, piece: Span) -> None:
        with self._source.open(span) as answer:
            if answer.whole and self._ranges and span.size < self._partial.subject.size:
                raise RangesIgnored
            self._take(answer, piece if answer.whole else span)

    def _take(self, answer: Answer, span: Span) -> None:
        """Write what comes of `span`, a MiB at a time. What came before a failure is written, too."""
        buffer, at, marked = bytearray(), span.start, time.monotonic()
        try:
            for chunk in answer.chunks:
                buffer += chunk[: span.end - at - len(buffer)]
                if len(buffer) >= MIB or time.monotonic() - marked > _MARK_S:
                    self._write(at, buffer)
                    at, marked = at + len(buffer), time.monotonic()
                    buffer.clear()
                if at + len(buffer) == span.end or self._ended.is_set():
                    return
        finally:
            self._write(at, buffer)
        raise Again("the connection ended early")

    def _write(self, at: int, data: bytearray) -> None:
        if data:
            self._partial.write(at, data)
            self._came = True
            self._on_bytes()

    def _wait(self, again: Again, failures: int) -> None:
        patience = self._patience
        asked = again.wait_s or 0
        tries = patience.tries_wrong if again.wrong else patience.tries_later if self._came else patience.tries
        if failures >= tries or asked > patience.asked_s:
            raise self._given_up(again, failures) from again
        if again.wait_s is not None:
            self._quiet_until = time.monotonic() + asked
        self._ended.wait(max(asked, min(patience.longest_s, patience.first_s * 2 ** (failures - 1))))

    def _given_up(self, again: Again, failures: int) -> GgufrunError:
        subject, done = self._partial.subject, self._partial.done
        times = "once" if failures == 1 else f"{failures} times in a row"
        asked = f", and asks to wait {again.wait_s:.0f} s" if again.wait_s is not None else ""
        return HubError(
            f"{subject.path}: it failed {times} ({again.why}{asked}). {gb_of(done, subject.size)} are here.",
            "The next `ggufrun pull` goes on from there.",
        )
