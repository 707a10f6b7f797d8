"""One request while it lives in the engine: its tokens, how far they are computed, and its counters."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ggufrun.engine.backend import Sampler
from ggufrun.engine.draft import NgramDraft
from ggufrun.engine.grammar import Constraint
from ggufrun.engine.image_tokens import internal
from ggufrun.engine.types import FinishReason, GenerationRequest, Image, Stats

# A generating sequence may owe a few forced tokens at once; a longer debt is computed in chunks, like a prompt.
DECODE_ROWS = 32


@dataclass(slots=True, eq=False)
class Sequence:
    request: GenerationRequest
    arrived: float
    sampler: Sampler
    constraint: Constraint | None = None
    tokens: list[int] = field(default_factory=list)  # prompt and all decided tokens; stand-ins for pictures
    rows: dict[int, npt.NDArray[np.float32]] = field(default_factory=dict)  # by `Image.start`, while still to compute
    foreseen: bool = False  # all of its pictures were ready while it waited to begin
    seq: int = -1  # KV sequence id while running
    computed: int = 0  # leading tokens that are in the KV cache
    pause: int = 0  # a prefill chunk ends here: another request waits to share these leading tokens
    emitted: int = 0  # leading tokens that the client has (the prompt counts as emitted)
    draft: NgramDraft | None = None
    reason: FinishReason | None = None  # decided, though forced tokens may still wait for their logprobs
    admitted: float | None = None
    first_token: float | None = None
    cached: int = 0
    restored: int = 0
    forced: int = 0
    drafted: int = 0
    accepted: int = 0
    steps: int = 0
    preemptions: int = 0

    def __post_init__(self) -> None:
        self.tokens = internal(self.request)
        self.emitted = len(self.tokens)

    @property
    def pending(self) -> int:
        """Tokens that are decided but not computed."""
        return len(self.tokens) - self.computed

    @property
    def generated(self) -> int:
        return len(self.tokens) - len(self.request.prompt)

    @property
    def generating(self) -> bool:
        """Whether the next step yields a token at the usual cost, rather than working through a prompt."""
        images = self.request.images  # whose rows may be owed again after a preemption
        return self.generated > 0 and self.pending <= DECODE_ROWS and (not images or self.computed >= images[-1].end)

    def stretch(self) -> tuple[int, Image | None]:
        """How many of the pending tokens are computed in one way, and the picture whose rows they stand for, if any."""
        for image in self.request.images:
            if self.computed < image.start:
                return image.start - self.computed, None
            if self.computed < image.end:
                return image.end - self.computed, image
        return self.pending, None

    def release_rows(self) -> None:
        """Let go of pictures that are computed."""
        self.foreseen = False
        for image in self.request.images:
            if image.end <= self.computed:
                self.rows.pop(image.start, None)

    def remaining(self, context: int) -> int:
        """How many more tokens the answer may have."""
        room = context - len(self.tokens)
        limit = self.request.max_tokens
        return room if limit is None else min(room, limit - self.generated)

    def stats(self, now: float) -> Stats:
        admitted = now if self.admitted is None else self.admitted
        first = now if self.first_token is None else self.first_token
        return Stats(
            prompt_tokens=len(self.request.prompt),
            completion_tokens=self.generated,
            cached_tokens=self.cached,
            restored_tokens=self.restored,
            forced_tokens=self.forced,
            drafted_tokens=self.drafted,
            accepted_tokens=self.accepted,
            model_steps=self.steps,
            preemptions=self.preemptions,
            queue_s=admitted - self.arrived,
            prompt_s=first - admitted,
            generation_s=now - first,
        )
