"""From an output row to decided tokens: raw logprobs, bans, grammar mask, sampler chain, jump-forward, budget."""

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from llguidance.numpy import allocate_token_bitmask

from ggufrun.engine.backend import Backend
from ggufrun.engine.grammar import Advance, Constraint, GrammarError, apply_mask, fill_masks
from ggufrun.engine.sequence import Sequence
from ggufrun.engine.types import FinishReason, TokenLogprob


def token_logprob(logits: npt.NDArray[np.float32], token: int, top: int, forced: bool) -> TokenLogprob:
    """Log-softmax of a raw row, float32 [vocabulary], for `token` and the `top` most likely ones."""
    peak = logits.max()
    norm = float(peak) + float(np.log(np.exp(logits - peak).sum(dtype=np.float64)))
    best = np.argpartition(-logits, min(top, len(logits) - 1))[:top] if top else np.empty(0, np.int64)
    best = best[np.argsort(-logits[best], kind="stable")]
    ranked = tuple((int(i), float(logits[i]) - norm) for i in best)
    return TokenLogprob(token, float(logits[token]) - norm, ranked, forced)


class Decider:
    """Decides tokens for one engine. Masks of a step are filled in a helper thread beside the model's computation."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._helper = ThreadPoolExecutor(1, thread_name_prefix="grammar-masks")
        self._masks = allocate_token_bitmask(1, backend.limits.vocabulary)
        self._ends: npt.NDArray[np.int64] | None = None
        self._ready: dict[int, int] = {}  # request id -> mask row
        self._filling: Future[dict[int, GrammarError]] | None = None
        self._faults: dict[int, GrammarError] = {}  # by mask row

    def begin(self, sequences: list[Sequence]) -> None:
        """Start filling the masks of the constrained sequences among those that the next decode will sample."""
        constrained = [(s.request.id, s.constraint) for s in sequences if s.constraint is not None]
        self._ready = {request: row for row, (request, _) in enumerate(constrained)}
        if not constrained:
            return
        if len(constrained) >= len(self._masks):  # the last row is left for the later rows of a draft
            self._masks = allocate_token_bitmask(2 * len(constrained) + 1, self._backend.limits.vocabulary)
        self._filling = self._helper.submit(_fill, [c for _, c in constrained], self._masks)

    def decide(self, sequence: Sequence, row: int) -> TokenLogprob | None:
        """Append the next tokens of `sequence` from an output row, or set its `reason`. Logprob of the first, if asked.

        Raises GrammarError where the constraint cannot go on.
        """
        wanted = sequence.request.sampling.logprobs
        raw = self._backend.logits(row).copy() if wanted is not None else None
        if sequence.constraint is not None:
            self._mask(sequence.request.id, sequence.constraint, self._backend.logits(row))
        if sequence.request.ignore_end or sequence.generated < sequence.request.min_tokens:
            self._ban_ends(self._backend.logits(row), masked=sequence.constraint is not None)
        token = self._backend.sample(row, sequence.sampler)
        if self._backend.is_end(token):
            sequence.reason = FinishReason.STOP
            return None
        start = len(sequence.tokens)
        self._append(sequence, token)
        if raw is None or wanted is None or start == len(sequence.tokens):
            return None
        first = sequence.tokens[start]  # not the sampled one where the answer had to be closed
        return token_logprob(raw, first, wanted, forced=first != token)

    def abandon(self) -> None:
        """The step was not computed: wait for its masks, since their matchers are used again."""
        filling, self._filling = self._filling, None
        if filling is not None:
            filling.result()
        self._ready = {}

    def close(self) -> None:
        self._helper.shutdown(wait=True)

    def _mask(self, request: int, constraint: Constraint, logits: npt.NDArray[np.float32]) -> None:
        if self._filling is not None:
            filling, self._filling = self._filling, None
            self._faults = filling.result()
        row = self._ready.pop(request, None)
        if row in self._faults:
            raise self._faults[row]
        if row is None:  # a later row of a draft: its mask depends on the tokens just accepted
            row = len(self._masks) - 1
            fill_masks([constraint], self._masks[row:])
        apply_mask(self._masks[row], logits)

    def begin_answer(self, sequence: Sequence) -> None:
        """Append what the grammar forces before anything is sampled."""
        if sequence.constraint is not None:
            self._take(sequence, sequence.constraint.begin(sequence.remaining(self._backend.limits.context)))

    def _append(self, sequence: Sequence, token: int) -> None:
        if sequence.constraint is None:
            sequence.tokens.append(token)
            self._check_limit(sequence)
        else:
            self._take(sequence, sequence.constraint.advance(token, sequence.remaining(self._backend.limits.context)))

    def _take(self, sequence: Sequence, step: Advance) -> None:
        sequence.tokens.extend(step.tokens)
        sequence.forced += step.forced
        for forced in step.tokens[len(step.tokens) - step.forced :]:
            sequence.sampler.accept(forced)
        if step.closed:
            sequence.reason = self._limit(sequence)
        elif step.finished:
            sequence.reason = FinishReason.STOP
        else:
            self._check_limit(sequence)

    def _check_limit(self, sequence: Sequence) -> None:
        if sequence.remaining(self._backend.limits.context) <= 0:
            sequence.reason = self._limit(sequence)

    def _limit(self, sequence: Sequence) -> FinishReason:
        """Which limit is nearer: the request's own, or the context's."""
        most = sequence.request.max_tokens
        room = self._backend.limits.context - len(sequence.request.prompt)
        return FinishReason.CONTEXT if most is None or most > room else FinishReason.LENGTH

    def _ban_ends(self, logits: npt.NDArray[np.float32], masked: bool) -> None:
        """Forbid the end, unless the grammar, whose mask was applied, allows nothing else."""
        ends = self._end_tokens()
        before = logits[ends]
        logits[ends] = -np.inf
        if masked and not np.isfinite(logits.max()):
            logits[ends] = before

    def _end_tokens(self) -> npt.NDArray[np.int64]:
        if self._ends is None:
            every = range(self._backend.limits.vocabulary)
            self._ends = np.array([t for t in every if self._backend.is_end(t)], np.int64)
        return self._ends


def _fill(constraints: list[Constraint], masks: npt.NDArray[np.int32]) -> dict[int, GrammarError]:
    """Fill a mask row for each constraint; one that cannot go on must not cost the others theirs."""
    faults = {}
    for row, constraint in enumerate(constraints):
        try:
            constraint.fill_mask(masks[row])
        except GrammarError as error:
            faults[row] = error
    return faults
