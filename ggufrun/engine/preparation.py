"""Constraints made beside the steps: compiling a large schema takes longer than running streams should wait."""

import logging
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial

from ggufrun.engine.grammar import Constraint, GrammarCompiler, GrammarError
from ggufrun.engine.sequence import Sequence
from ggufrun.engine.types import Grammar

log = logging.getLogger(__name__)


class Preparation:
    """Requests that wait for their grammar. One helper thread compiles; a grammar that is known takes microseconds."""

    def __init__(self, grammars: GrammarCompiler) -> None:
        self._grammars = grammars
        self._helper = ThreadPoolExecutor(1, thread_name_prefix="grammars")
        self._pending: dict[int, tuple[Sequence, Future[Constraint]]] = {}  # by request id, in order of arrival

    def __bool__(self) -> bool:
        return bool(self._pending)

    @property
    def sequences(self) -> list[Sequence]:
        return [sequence for sequence, _ in self._pending.values()]

    def start(self, sequence: Sequence, grammar: Grammar, budget: int) -> None:
        """Make a constraint for an answer of at most `budget` tokens."""
        make = partial(_make, self._grammars, grammar, budget)
        made: Future[Constraint]
        if self._grammars.knows(grammar, budget):
            made = Future()
            try:
                made.set_result(make())
            except GrammarError as error:
                made.set_exception(error)
        else:
            made = self._helper.submit(make)
        self._pending[sequence.request.id] = sequence, made

    def drop(self, request_id: int) -> Sequence | None:
        """Forget a request, which another one may still profit from: what is being compiled is finished."""
        sequence, _ = self._pending.pop(request_id, (None, None))
        return sequence

    def take(self, patience: float = 0.0) -> list[tuple[Sequence, Future[Constraint]]]:
        """Those that are ready, or failed with a GrammarError; waits up to `patience` seconds for the first."""
        if patience and self._pending:
            wait([made for _, made in self._pending.values()], patience, return_when="FIRST_COMPLETED")
        done = [(sequence, made) for sequence, made in self._pending.values() if made.done()]
        for sequence, _ in done:
            del self._pending[sequence.request.id]
        return done

    def close(self) -> None:
        self._helper.shutdown(wait=True, cancel_futures=True)


def _make(grammars: GrammarCompiler, grammar: Grammar, budget: int) -> Constraint:
    try:
        return grammars.start(grammar, budget)
    except GrammarError:
        raise
    except Exception as error:  # where the thread's work ends: only this request may
        log.exception("a grammar could not be compiled")
        raise GrammarError(f"The grammar cannot be compiled: {type(error).__name__}: {error}.") from error
