"""Which sequences run and what the next step computes. Pure: it reads sequences and counts, and touches no model.

Order: every generating sequence goes into every step; prompts share what is left of the step, first come first served.
"""

from collections import deque
from collections.abc import Sequence as ReadOnly
from dataclasses import dataclass

from ggufrun.engine.prefix_tree import common_prefix
from ggufrun.engine.sequence import Sequence
from ggufrun.engine.types import Image

MIN_GAIN = 16  # a prefix that is being computed is worth waiting for if it saves at least this many tokens
HEADROOM = 8  # cells a running sequence is left to grow into before another one is admitted


@dataclass(frozen=True, slots=True)
class Prefill:
    """Compute the next `count` tokens of a prompt; if that `completes` it, its last row is sampled."""

    sequence: Sequence
    count: int
    completes: bool


@dataclass(frozen=True, slots=True)
class Generate:
    """Compute what is decided, verify `draft` behind it, and sample."""

    sequence: Sequence
    draft: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class See:
    """Compute the next `count` rows of a picture in a prompt, which never ends with one."""

    sequence: Sequence
    count: int
    image: Image


Item = Prefill | Generate | See


def samples(item: Item) -> bool:
    """Whether a token is chosen from its last row."""
    return isinstance(item, Generate) or (isinstance(item, Prefill) and item.completes)


class Scheduler:
    """`waits`: a request may wait for a prefix that another one is computing. `pauses`: the other one's prompt is cut
    just there, since a sliding window leaves what it has passed behind.
    """

    def __init__(self, parallel: int, waits: bool, pauses: bool = False) -> None:
        self._parallel, self._waits, self._pauses = parallel, waits, pauses
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []

    @property
    def busy(self) -> bool:
        return bool(self.waiting or self.running)

    def find(self, request_id: int) -> Sequence | None:
        return next((s for s in (*self.running, *self.waiting) if s.request.id == request_id), None)

    def can_run_more(self) -> bool:
        return len(self.running) < self._parallel

    def start(self, sequence: Sequence) -> None:
        self.waiting.remove(sequence)
        self.running.append(sequence)

    def remove(self, sequence: Sequence) -> None:
        if sequence in self.running:
            self.running.remove(sequence)
        elif sequence in self.waiting:
            self.waiting.remove(sequence)

    def should_wait(self, sequence: Sequence, held: int) -> bool:
        """Whether a running prompt is on its way to a prefix that saves much more than the `held` tokens."""
        if not self._waits:
            return False
        most = len(sequence.tokens) - 1
        for leader in self.running:
            if leader.generating or leader.computed - held >= most:
                continue
            shared = min(common_prefix(leader.tokens, sequence.tokens), most)
            if shared - held >= MIN_GAIN and leader.computed < shared:
                if self._pauses:
                    leader.pause = shared if leader.pause <= leader.computed else min(leader.pause, shared)
                return True
        return False

    def has_room(self, sequence: Sequence, reused: int, pinned: int, context: int) -> bool:
        """Whether the sequence can start without soon taking cells from those that run. Alone it always can.

        `pinned` cells are held by running sequences; the sequence finds `reused` of them where its own tokens begin.
        """
        if not self.running:
            return True
        owed = sum(other.pending for other in self.running) + HEADROOM * (len(self.running) + 1)
        return pinned + owed + len(sequence.tokens) - reused <= context

    def preempt(self) -> Sequence | None:
        """Send the youngest running sequence back to the head of the queue; None if it would be the only one."""
        if len(self.running) < 2:
            return None
        victim = max(self.running, key=lambda s: s.arrived)
        self.running.remove(victim)
        self.waiting.appendleft(victim)
        return victim

    def plan(self, batch: int, prefill: int, drafts: ReadOnly[Generate] = ()) -> list[Item]:
        """The next step: all generating sequences, then prompts in `prefill` rows; at most `batch` rows.

        Rows of pictures, which no batch has beside tokens, come last.
        """
        drafted = {item.sequence.request.id: item for item in drafts}
        items: list[Item] = []
        for sequence in self.running:
            if sequence.generating and sequence.pending <= batch:
                item = drafted.get(sequence.request.id, Generate(sequence))
                rows = sequence.pending + len(item.draft)
                items.append(item if rows <= batch else Generate(sequence))
                batch -= rows if rows <= batch else sequence.pending
        room, planned = min(batch, prefill), {item.sequence.request.id for item in items}
        pictures: list[Item] = []
        for sequence in self.running:
            if sequence.request.id not in planned and room > 0:
                length, image = sequence.stretch()
                count = min(room, length)
                if sequence.pause > sequence.computed:
                    count = min(count, sequence.pause - sequence.computed)
                if image is None:
                    items.append(Prefill(sequence, count, completes=count == sequence.pending))
                else:
                    pictures.append(See(sequence, count, image))
                room -= count
        return items + pictures
