"""What the backend computes for an item of a plan: which tokens or rows, and from which of them logits come."""

from ggufrun.engine.backend import Run
from ggufrun.engine.scheduler import Generate, Item, Prefill, See


def run_of(item: Item) -> Run:
    """The item's tokens, and logits for each row that a token is still to be chosen or scored from."""
    sequence = item.sequence
    start = sequence.computed
    if isinstance(item, See):
        first = start - item.image.start
        rows = sequence.rows[item.image.start][first : first + item.count]
        return Run(sequence.seq, start, sequence.tokens[start : start + item.count], 0, rows)
    end = start + item.count if isinstance(item, Prefill) else len(sequence.tokens)
    tokens = sequence.tokens[start:end]
    draft = item.draft if isinstance(item, Generate) else ()
    # Forced tokens that the client does not have yet need rows of their own only where their logprobs are wanted.
    scored = len(sequence.tokens) if sequence.request.sampling.logprobs is None else sequence.emitted
    outputs = max(0, end - max(start, scored - 1)) + len(draft)
    return Run(sequence.seq, start, [*tokens, *draft], outputs)
