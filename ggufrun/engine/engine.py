"""The engine's loop: admit, plan, decode, commit. Policy only; llama.cpp is behind `Backend`, processes elsewhere."""

import logging
import time
from collections.abc import Callable

from ggufrun.engine.backend import Backend, DecodeStatus, MemoryKind, PictureEncoder, Run
from ggufrun.engine.decide import Decider, token_logprob
from ggufrun.engine.draft import NgramDraft
from ggufrun.engine.grammar import GrammarCompiler, GrammarError
from ggufrun.engine.image_tokens import fault
from ggufrun.engine.kv_cache import KvCache
from ggufrun.engine.pacer import Pacer
from ggufrun.engine.pictures import PictureError, Pictures
from ggufrun.engine.prefix_store import PrefixStore
from ggufrun.engine.preparation import Preparation
from ggufrun.engine.runs import run_of
from ggufrun.engine.scheduler import Generate, Item, Scheduler, See, samples
from ggufrun.engine.sequence import Sequence
from ggufrun.engine.types import (
    EngineEvent,
    Failed,
    Finished,
    FinishReason,
    GenerationRequest,
    PromptProgress,
    TokenLogprob,
    Tokens,
)
from ggufrun.settings import EngineSettings

log = logging.getLogger(__name__)

MAX_DRAFT = 47
PATIENCE_S = 0.02  # a step waits this long for a grammar, a saved state or a picture if there is nothing else to do


class Engine:
    """Runs many requests over one backend. Every submitted request ends with exactly one `Finished` or `Failed`."""

    def __init__(
        self,
        backend: Backend,
        settings: EngineSettings,
        grammars: GrammarCompiler,
        store: PrefixStore | None = None,
        encoder: PictureEncoder | None = None,
        clock: Callable[[], float] = time.perf_counter,
        computing: Callable[[int, bool], None] | None = None,
    ) -> None:
        """`computing` hears how many rows are computed, before they are, and whether some have outputs to be read."""
        self._backend, self._settings, self._clock, self._computing = backend, settings, clock, computing
        self._context = backend.limits.context
        self._batch = min(settings.batch, backend.limits.batch)
        self._kv = KvCache(backend, settings.cached_sequences, settings.share_prefixes, store)
        waits = settings.share_prefixes and backend.memory is not MemoryKind.RECURRENT
        self._preparation = Preparation(grammars)
        self._pictures = Pictures(encoder)
        self._scheduler = Scheduler(settings.parallel, waits, pauses=backend.memory is MemoryKind.SLIDING)
        self._pacer = Pacer(settings.gap_ms / 1000)
        self._decider = Decider(backend)
        self._events: list[EngineEvent] = []

    @property
    def busy(self) -> bool:
        return self._scheduler.busy or bool(self._events) or bool(self._preparation)

    def submit(self, request: GenerationRequest) -> None:
        """Queue a request. Its own faults become a `Failed` event of the next step."""
        message = fault(request)
        if not 0 < len(request.prompt) < self._context:
            message = f"a prompt of {len(request.prompt)} tokens does not fit a context of {self._context}"
        if message is not None:
            self._events.append(Failed(request.id, message))
            return
        sequence = Sequence(request, self._clock(), self._backend.new_sampler(request.sampling))
        if request.grammar is None:
            self._queue(sequence)
        else:
            self._preparation.start(sequence, request.grammar, sequence.remaining(self._context))

    def cancel(self, request_id: int) -> None:
        """End a request within this step; what it computed stays as cache. Unknown ids are ended requests: ignored."""
        sequence = self._scheduler.find(request_id) or self._preparation.drop(request_id)
        if sequence is not None:
            sequence.reason = FinishReason.CANCELLED
            self._finish(sequence)

    def step(self) -> list[EngineEvent]:
        """One decode of tokens and one of pictures at most, and the events that came of them."""
        self._receive()
        self._admit()
        plan = self._plan()
        # Without room for tokens there is none for pictures, which would take the cells that were just made free.
        if self._compute([item for item in plan if not isinstance(item, See)]):
            self._compute([item for item in plan if isinstance(item, See) and item.sequence.seq >= 0])
        if not plan:
            self._kv.wait(PATIENCE_S)
            self._pictures.wait(PATIENCE_S, self._backend.rest)
        events, self._events = self._events, []
        return events

    def idle(self) -> bool:
        """One bit of work for quiet moments: save a prefix. True: there may be more."""
        return self._kv.save_one()

    def fail_all(self, message: str) -> list[EngineEvent]:
        """End every request, with the context rebuilt."""
        for sequence in (*self._scheduler.running, *self._scheduler.waiting, *self._preparation.sequences):
            self._preparation.drop(sequence.request.id)
            self._fail(sequence, message, keep=False)
        self._backend.reset()
        self._kv.clear()
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        self._preparation.close()
        self._decider.close()
        self._pictures.close()
        self._kv.close()
        self._backend.close()

    # ---- admit

    def _receive(self) -> None:
        """Queue the requests whose grammars have been compiled."""
        for sequence, constraint in self._preparation.take(0.0 if self._scheduler.busy else PATIENCE_S):
            try:
                sequence.constraint = constraint.result()
                self._decider.begin_answer(sequence)
            except GrammarError as error:
                self._fail(sequence, str(error))
            except Exception as error:  # those behind it are in nobody's hands yet, so it must end here
                log.exception("a constrained request could not begin")
                self._fail(sequence, f"The answer cannot begin: {type(error).__name__}: {error}.")
            else:
                self._queue(sequence)

    def _queue(self, sequence: Sequence) -> None:
        drafts = self._settings.drafting and self._backend.memory is MemoryKind.FULL
        if drafts and sequence.request.sampling.logprobs is None:
            sequence.draft = NgramDraft()
            sequence.draft.observe(sequence.tokens, len(sequence.tokens))
        self._scheduler.waiting.append(sequence)

    def _admit(self) -> None:
        self._pictures.collect()
        for sequence in list(self._scheduler.waiting):
            if not self._scheduler.can_run_more():
                return self._look_ahead()
            # Tokens whose logprobs are still owed must be computed, not found in the cache.
            scored = sequence.request.sampling.logprobs is not None
            known = sequence.tokens[: sequence.emitted] if scored else sequence.tokens
            source, held = self._kv.match(known)
            if self._scheduler.should_wait(sequence, held):
                continue
            running = [other.seq for other in self._scheduler.running]
            shared = self._kv.shared(source, held, running)
            if not self._scheduler.has_room(sequence, shared, self._kv.pinned(running), self._context):
                return self._look_ahead()  # first come, first served: no shorter one starves this one
            if sequence.request.images and not self._will_see(sequence, known, held):
                continue  # a picture is being encoded; meanwhile those behind it may go first
            if not self._kv.ready(sequence.request.id, known):
                continue  # or its saved state is being read
            slot = self._kv.acquire(sequence.request.id, known)
            if slot is None:
                return
            if not self._sees(sequence, slot.reused):  # less was found than was promised
                self._kv.retire(slot.seq)
                continue
            self._scheduler.start(sequence)
            sequence.seq, sequence.computed = slot.seq, slot.reused
            sequence.release_rows()
            if sequence.admitted is None:
                sequence.admitted = self._clock()
                prompt = len(sequence.request.prompt)
                sequence.cached, sequence.restored = min(slot.reused, prompt), min(slot.restored, prompt)

    def _look_ahead(self) -> None:
        """Nobody can begin now: meanwhile, encode pictures of the first in the queue that has some."""
        sequence = next((each for each in self._scheduler.waiting if each.request.images), None)
        if sequence is None or sequence.foreseen:
            return
        held = self._kv.match(sequence.tokens)[1]
        if not self._scheduler.should_wait(sequence, held):  # else they are being computed for another one
            sequence.foreseen = self._will_see(sequence, sequence.tokens, held)

    def _will_see(self, sequence: Sequence, known: list[int], held: int) -> bool:
        """Whether all pictures are encoded but those that the cache, memory or disk, promises to hold."""
        waits = self._pictures.waits(sequence.request.id)  # asked first: looking into the disk cache takes longer
        return not waits and self._sees(sequence, self._kv.promised(known, held))

    def _sees(self, sequence: Sequence, computed: int) -> bool:
        """Whether all pictures behind the first `computed` tokens are encoded; without pictures, always."""
        try:
            return self._pictures.ready(sequence, computed)
        except PictureError as error:
            self._fail(sequence, str(error))
            return False

    # ---- plan

    def _plan(self) -> list[Item]:
        generating = [s for s in self._scheduler.running if s.generating]
        rows = sum(s.pending for s in generating)
        prefill = self._pacer.chunk(rows, self._batch) if generating else self._batch
        drafts = self._drafts(generating, rows) if len(generating) == len(self._scheduler.running) else []
        return self._scheduler.plan(self._batch, prefill, drafts)

    def _drafts(self, generating: list[Sequence], rows: int) -> list[Generate]:
        """Guesses worth verifying in the next step; a step with a prompt in it has no time to spare for them."""
        items = []
        for sequence in generating:
            if sequence.draft is None or sequence.reason is not None:
                continue
            guess = sequence.draft.propose(sequence.tokens, MAX_DRAFT)
            room = min(len(guess), sequence.remaining(self._context) - 1, self._kv.free_cells - rows)
            room = min(room, self._batch - rows)
            most = self._pacer.draft_length(rows, len(generating), sequence.draft.acceptance, room)
            draft = guess[:most]
            if draft and sequence.constraint is not None:
                draft = draft[: sequence.constraint.allows(draft)]
            if draft:
                rows += len(draft)
                items.append(Generate(sequence, tuple(draft)))
        return items

    # ---- decode

    def _compute(self, plan: list[Item]) -> bool:
        """Decode and commit the plan. False: nothing was computed."""
        runs = [run_of(item) for item in plan]
        if plan and not self._decode(plan, runs):
            return False
        self._commit(plan, runs)
        return True

    def _decode(self, plan: list[Item], runs: list[Run]) -> bool:
        """Compute the plan. False: nothing was computed and the plan is void."""
        self._decider.begin([item.sequence for item in plan if samples(item)])
        if self._computing is not None:
            self._computing(sum(len(run.tokens) for run in runs), any(run.outputs for run in runs))
        started = self._clock()
        status = self._backend.decode(runs)
        while status is DecodeStatus.NO_ROOM and self._kv.evict():
            status = self._backend.decode(runs)
        if status is DecodeStatus.OK:
            prefill = sum(item.count for item in plan if not isinstance(item, Generate))
            self._pacer.record(sum(len(run.tokens) for run in runs), prefill, self._clock() - started)
            return True
        self._decider.abandon()
        if status is DecodeStatus.NO_ROOM:
            self._yield_room()
        else:
            self._recover(f"llama.cpp could not compute a step ({status.name.lower()})")
        return False

    def _yield_room(self) -> None:
        """No cell is free and none can be evicted: the youngest starts again later, or the only one ends here."""
        victim = self._scheduler.preempt()
        if victim is not None:
            self._kv.drop(victim.seq)
            victim.seq, victim.computed = -1, 0
            victim.preemptions += 1
            return
        last = self._scheduler.running[0]
        if last.generated:
            last.reason = FinishReason.CONTEXT
            self._finish(last)
        else:
            self._fail(last, "the prompt does not fit into the context's memory")

    def _recover(self, message: str) -> None:
        """After a fatal decode: the running requests fail, the waiting ones go on in a new context."""
        for sequence in list(self._scheduler.running):
            self._fail(sequence, message, keep=False)
        self._backend.reset()
        self._kv.clear()

    # ---- commit

    def _commit(self, plan: list[Item], runs: list[Run]) -> None:
        row = 0
        for item, run in zip(plan, runs, strict=True):
            sequence = item.sequence
            sequence.steps += 1
            try:
                if isinstance(item, Generate) and item.draft:
                    self._commit_draft(item, row + run.outputs - 1 - len(item.draft))
                else:
                    self._commit_run(item, run, row)
                self._emit(sequence)
            except GrammarError as error:
                self._kv.rollback(sequence.seq)  # draft rows that were computed and not recorded
                self._fail(sequence, str(error))
            row += run.outputs

    def _commit_run(self, item: Item, run: Run, row: int) -> None:
        sequence = item.sequence
        self._kv.extend(sequence.seq, list(run.tokens))
        sequence.computed += len(run.tokens)
        sequence.release_rows()
        logprobs = self._owed_logprobs(sequence, row, run.outputs)
        if not samples(item):
            total = len(sequence.request.prompt)
            if sequence.computed < total:
                self._events.append(PromptProgress(sequence.request.id, sequence.computed, total, sequence.cached))
        elif sequence.reason is None:
            start = len(sequence.tokens)
            logprob = self._decider.decide(sequence, row + run.outputs - 1)
            if sequence.draft is not None:
                sequence.draft.observe(sequence.tokens, start)
            if logprob is not None:
                logprobs.append(logprob)
        if sequence.request.sampling.logprobs is not None:
            self._emit_logprobs(sequence, logprobs)

    def _commit_draft(self, item: Generate, row: int) -> None:
        """Decide row after row, for as long as what is decided is what was drafted."""
        sequence, draft = item.sequence, item.draft
        base, kept = len(sequence.tokens), 0
        self._kv.extend(sequence.seq, sequence.tokens[sequence.computed :])
        while sequence.reason is None and base + kept == len(sequence.tokens):
            self._decider.decide(sequence, row + kept)
            while kept < len(draft) and sequence.tokens[base + kept : base + kept + 1] == [draft[kept]]:
                kept += 1
        self._kv.extend(sequence.seq, list(draft[:kept]))
        sequence.computed = base + kept
        if kept < len(draft):
            self._kv.rollback(sequence.seq)
        sequence.drafted += len(draft)
        sequence.accepted += kept
        if sequence.draft is not None:
            sequence.draft.verified(kept, len(draft))
            sequence.draft.observe(sequence.tokens, base)

    # ---- events

    def _owed_logprobs(self, sequence: Sequence, row: int, outputs: int) -> list[TokenLogprob]:
        """Logprobs of forced tokens whose rows have now been computed."""
        top = sequence.request.sampling.logprobs
        if top is None:
            return []
        owed = sequence.tokens[sequence.emitted : sequence.emitted + outputs]
        return [token_logprob(self._backend.logits(row + i), t, top, forced=True) for i, t in enumerate(owed)]

    def _emit_logprobs(self, sequence: Sequence, logprobs: list[TokenLogprob]) -> None:
        if logprobs:
            tokens = tuple(logprob.token for logprob in logprobs)
            sequence.emitted += len(tokens)
            self._first(sequence)
            self._events.append(Tokens(sequence.request.id, tokens, tuple(logprobs)))

    def _emit(self, sequence: Sequence) -> None:
        """Send what the client does not have yet, and end the request if it is over."""
        if sequence.computed < len(sequence.request.prompt):
            return
        if sequence.request.sampling.logprobs is None and sequence.emitted < len(sequence.tokens):
            tokens = tuple(sequence.tokens[sequence.emitted :])
            sequence.emitted = len(sequence.tokens)
            self._first(sequence)
            self._events.append(Tokens(sequence.request.id, tokens))
        if sequence.reason is not None and sequence.emitted == len(sequence.tokens):
            self._finish(sequence)

    def _first(self, sequence: Sequence) -> None:
        if sequence.first_token is None:
            sequence.first_token = self._clock()

    def _finish(self, sequence: Sequence) -> None:
        stats = sequence.stats(self._clock())
        self._events.append(Finished(sequence.request.id, sequence.reason or FinishReason.STOP, stats))
        self._end(sequence, keep=True)

    def _fail(self, sequence: Sequence, message: str, keep: bool = True) -> None:
        self._events.append(Failed(sequence.request.id, message))
        self._end(sequence, keep)

    def _end(self, sequence: Sequence, keep: bool) -> None:
        self._scheduler.remove(sequence)
        self._kv.forget(sequence.request.id)
        self._pictures.forget(sequence.request.id)
        sequence.rows.clear()
        sequence.sampler.close()
        if keep and sequence.seq >= 0:
            self._kv.retire(sequence.seq)
        sequence.seq = -1
