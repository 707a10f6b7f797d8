"""Who holds which KV cells: sequence ids, shared prefixes, finished sequences kept until their cells are needed.

Owns the backend's sequence operations; when to make room is the engine's decision.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from ggufrun.engine.backend import Backend, MemoryKind
from ggufrun.engine.keeping import Keeping
from ggufrun.engine.prefix_loading import PrefixLoading
from ggufrun.engine.prefix_store import PrefixStore, StoredPrefix
from ggufrun.engine.prefix_tree import PrefixTree

log = logging.getLogger(__name__)

MIN_SHARED = 16  # shorter prefixes are cheaper to compute than to explain
MIN_RESTORED = 128  # reading a state back costs about as much as computing this many tokens
QUICK_SAVE = 64 << 20  # bytes; copying a state of this size out holds up running streams by some 20 ms
WRITE_S = 0.05  # a quiet moment waits this long for the state that is being written


@dataclass(frozen=True, slots=True)
class Slot:
    """A sequence id and how many leading tokens its cells already hold."""

    seq: int
    reused: int
    restored: int = 0


class KvCache:
    def __init__(self, backend: Backend, keep: int, share: bool, store: PrefixStore | None = None) -> None:
        self._backend, self._keep, self._share, self._store = backend, keep, share, store
        self._loading = PrefixLoading(store) if store is not None and share else None
        self.clear()

    def clear(self) -> None:
        """Forget every sequence (the context was rebuilt)."""
        self.tree = PrefixTree()
        self._keeping = Keeping()
        # Finished sequences, least recently used first, and when that was by the clock of `_keeping`.
        self._cached: OrderedDict[int, int] = OrderedDict()
        self._unsaved: dict[int, None] = {}  # finished sequences that the disk cache was not asked about, oldest first
        self._free = list(range(self._backend.limits.sequences))

    @property
    def free_cells(self) -> int:
        return self._backend.limits.context - self.tree.used

    def pinned(self, seqs: Iterable[int]) -> int:
        """Cells that running sequences hold: the rest is free or can be evicted."""
        return self.tree.cells(seqs)

    def shared(self, source: int, length: int, seqs: Iterable[int]) -> int:
        """How many of the first `length` cells of `source` are held by `seqs` too."""
        return self.tree.overlap(source, length, seqs)

    def match(self, tokens: list[int]) -> tuple[int, int]:
        """The held sequence that `tokens` can start from, and how many tokens it saves. (-1, 0): none.

        One token is always left to compute, since its logits are wanted. Recurrent states are reused whole or not.
        """
        if not self._share:
            return -1, 0
        if self._backend.memory is MemoryKind.RECURRENT:
            return self._match_whole(tokens)
        source, length = self.tree.longest(tokens)
        length = min(length, len(tokens) - 1)
        return (source, length) if length >= MIN_SHARED else (-1, 0)

    def _match_whole(self, tokens: list[int]) -> tuple[int, int]:
        best, best_length = -1, MIN_SHARED - 1
        for seq in self._cached:
            length = self.tree.length(seq)
            if best_length < length < len(tokens) and self.tree.tokens(seq) == tokens[:length]:
                best, best_length = seq, length
        return (best, best_length) if best >= 0 else (-1, 0)

    def ready(self, request: int, tokens: list[int]) -> bool:
        """Whether `acquire` may be called. False while a saved state is being read that is worth waiting for."""
        if self._loading is None or self._loading.has_read(request):
            return True
        if self._loading.waits(request):
            return False
        found = self._stored(tokens)
        return found is None or not self._loading.start(request, found)

    def promised(self, tokens: list[int], held: int) -> int:
        """About how many tokens `acquire` will find: the `held` ones, or more that are saved."""
        found = self._stored(tokens) if self._loading is not None else None
        return held if found is None else max(held, found.length)

    def wait(self, patience: float) -> None:
        """Wait up to `patience` seconds for the saved state that is being read, if one is."""
        if self._loading is not None:
            self._loading.wait(patience)

    def forget(self, request: int) -> None:
        """The request has ended: nothing has to be read for it."""
        if self._loading is not None:
            self._loading.forget(request)

    def close(self) -> None:
        if self._loading is not None:
            self._loading.close()

    def acquire(self, request: int, tokens: list[int]) -> Slot | None:
        """A sequence for `tokens`, starting from the longest prefix that is held, or that was read for the request.

        None: no id is free.
        """
        source, length = self.match(tokens)
        self._expire(source)
        slot = self._restore(request, tokens, source, length) or self._start(source, length)
        if slot is not None:
            self._keeping.come(tokens, slot.reused)
            self.forget(request)
        return slot

    def _start(self, source: int, length: int) -> Slot | None:
        if source in self._cached and length == self.tree.length(source):
            self._uncache(source)  # go on where it ended; nothing of it is lost
            return Slot(source, length)
        if source in self._cached:
            self._cached[source] = self._keeping.rows
            self._cached.move_to_end(source)
        target = self._take_id(spare=source)
        if target is None:
            return None
        return Slot(target, self._copy(source, target, length))

    def _copy(self, source: int, target: int, length: int) -> int:
        if length == 0:
            return 0
        self._backend.copy(source, target, length)
        if not self._backend.covers(target, length):
            self._backend.truncate(target, 0)
            return 0
        self.tree.share(source, target, length)
        return length

    def _take_id(self, spare: int = -1) -> int | None:
        if not self._free:
            self.evict(spare)
        return self._free.pop() if self._free else None

    def extend(self, seq: int, tokens: list[int]) -> None:
        """Record tokens that a decode put into the cells of `seq`."""
        self.tree.extend(seq, tokens)
        self._keeping.rows += len(tokens)

    def rollback(self, seq: int) -> None:
        """Take back the cells of `seq` that were computed but not recorded (refused drafts)."""
        self._backend.truncate(seq, self.tree.length(seq))

    def retire(self, seq: int) -> None:
        """The request is over: keep its cells as cache, unless another sequence holds them all."""
        if not self._share or self.tree.length(seq) < MIN_SHARED or self.tree.redundant(seq):
            self.drop(seq)
            return
        self._cached[seq], self._unsaved[seq] = self._keeping.rows, None
        while len(self._cached) > self._keep:
            self.evict()

    def drop(self, seq: int) -> None:
        """Free the sequence and the cells that only it holds."""
        self._backend.truncate(seq, 0)
        self.tree.release(seq)
        self._free.append(seq)

    def evict(self, spare: int = -1) -> bool:
        """Drop the least recently used finished sequence, saved first if that is quick. False: there is none."""
        victim = self._oldest(spare)
        if victim is None:
            return False
        if victim in self._unsaved:
            self._save(victim, QUICK_SAVE)
        self._uncache(victim)
        self.drop(victim)
        return True

    def _expire(self, spare: int) -> None:
        """Drop what has cost others as much as it saves, before a sequence begins: it then gets the low cells."""
        keep = self._backend.keep_rows if self._cached else None
        while keep is not None and (victim := self._oldest(spare)) is not None:
            if not self._keeping.is_over(self._cached[victim], keep):
                return
            self._keeping.drop(self.tree.tokens(victim))
            self.evict(spare)

    def _oldest(self, spare: int) -> int | None:
        return next((seq for seq in self._cached if seq != spare), None)

    def save_one(self) -> bool:
        """Hand the latest finished sequence to the disk cache. True if there may be more to do, False when all is."""
        if self._store is None or not self._unsaved:
            return False
        if self._store.finish_writing(WRITE_S):  # one at a time; the next one has to wait
            self._save(next(reversed(self._unsaved)))
        return True

    def _save(self, seq: int, most: int | None = None) -> None:
        """Save a finished sequence, if it is wanted and has at most `most` bytes. It is not asked about again."""
        del self._unsaved[seq]
        tokens = self.tree.tokens(seq)
        if self._store is None or not self._store.wants(tokens):
            return
        try:
            size = self._backend.state_size(seq)
            if 0 < size <= self._store.limit and (most is None or size <= most):
                self._store.save(tokens, self._backend.save(seq))
        except (MemoryError, OSError, RuntimeError) as error:  # no memory, no thread: saving is a convenience
            log.warning("A prefix could not be saved: %s.", str(error) or type(error).__name__)

    def _uncache(self, seq: int) -> None:
        """The sequence is used or dropped."""
        del self._cached[seq]
        self._unsaved.pop(seq, None)

    def _stored(self, tokens: list[int]) -> StoredPrefix | None:
        """The saved state that is worth reading for `tokens`."""
        found = self._store.match(tokens) if self._store is not None else None
        if found is None:
            return None
        source, held = self.match(tokens)
        return found if self._pays(found, source, held) else None

    def _pays(self, found: StoredPrefix, source: int, held: int) -> bool:
        """Whether a saved state saves a good deal more than the `held` tokens of `source`.

        Only where the whole state finds room: nothing that runs, nor `source`, makes way for it.
        """
        return found.length - held >= MIN_RESTORED and found.tokens <= self.free_cells + self._evictable(source)

    def _restore(self, request: int, tokens: list[int], source: int, held: int) -> Slot | None:
        """A sequence made of what was read for the request, if that still pays."""
        read = self._loading.get(request) if self._loading is not None else None
        if self._store is None or read is None:
            return None
        found, (held_tokens, state) = read
        same = held_tokens[: found.length] == tokens[: found.length]  # the file may have been written anew
        if not same or len(held_tokens) != found.tokens or not self._pays(found, source, held):
            return None
        target = self._take_id(spare=source)
        if target is None:
            return None
        while self.free_cells < len(held_tokens) and self.evict(source):
            pass
        length = min(found.length, len(tokens) - 1)
        restored = self._backend.restore(target, state)
        if not restored:
            self._store.remove(found)  # it would be refused again
        restored = restored and self._backend.truncate(target, length)
        if not restored or not self._backend.covers(target, length):
            self._backend.truncate(target, 0)
            self._free.append(target)
            return None
        self.tree.extend(target, tokens[:length])
        return Slot(target, length, restored=length)

    def _evictable(self, spare: int) -> int:
        """Cells that evicting every finished sequence but `spare` would free."""
        stay = set(range(self._backend.limits.sequences)).difference(self._free, self._cached) | {spare}
        return self.tree.used - self.tree.cells(stay)
