"""Where kept cells slow down what runs: finished sequences go once they have cost as much as they save."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggufrun.engine.backend import Run
from ggufrun.engine.keeping import Keeping, common
from ggufrun.engine.kv_cache import KvCache
from ggufrun.engine.prefix_store import PrefixStore
from ggufrun.engine.types import GenerationRequest
from ggufrun.settings import EngineSettings
from tests.engine.harness import make_engine, run
from tests.fake_backend import FakeBackend


def text(first: int, count: int = 300) -> list[int]:
    return [first, *(1 + i % 60 for i in range(count - 1))]


def finished(kv: KvCache, backend: FakeBackend, tokens: list[int]) -> int:
    """Compute `tokens` in a sequence that then ends."""
    slot = kv.acquire(1, tokens)
    assert slot is not None
    for start in range(slot.reused, len(tokens), 64):
        part = tokens[start : start + 64]
        backend.decode([Run(slot.seq, start, part, 0)])
        kv.extend(slot.seq, part)
    kv.retire(slot.seq)
    return slot.seq


@pytest.mark.parametrize(("keep_rows", "held"), [(None, 5), (450, 2), (100, 1)])
def test_what_has_cost_as_much_as_it_saves_is_dropped_when_the_next_one_begins(
    keep_rows: int | None, held: int
) -> None:
    backend = FakeBackend(context=2000)
    backend.keep_rows = keep_rows
    kv = KvCache(backend, keep=8, share=True)
    for first in range(1, 6):
        finished(kv, backend, text(first))
    kv.acquire(1, text(6))
    assert backend.used == kv.tree.used == 300 * held
    assert kv.match([*text(5), 9])[1] == 300


def test_what_was_used_again_is_kept_on() -> None:
    backend = FakeBackend(context=2000)
    backend.keep_rows = 450
    kv = KvCache(backend, keep=8, share=True)
    for tokens in (text(1), text(2), text(3, 200), [*text(1, 100), *text(4, 300)], text(5, 100)):
        finished(kv, backend, tokens)
    assert kv.match([*text(1), 9])[1] == 300 and kv.match([*text(2), 9])[1] == 0


def test_a_shared_beginning_stays_and_what_followed_it_goes() -> None:
    backend = FakeBackend(context=2000)
    backend.keep_rows = 450
    kv = KvCache(backend, keep=8, share=True)
    system = text(1, 100)
    finished(kv, backend, system)
    for first in range(10, 20):
        assert kv.match([*system, *text(first, 300)])[1] == 100
        finished(kv, backend, [*system, *text(first, 300)])
    assert kv.tree.used == 100 + 4 * 300  # the last three, and the one that the system prompt is taken from


def test_what_the_new_one_begins_with_is_not_dropped_however_old() -> None:
    backend = FakeBackend(context=2000)
    kv = KvCache(backend, keep=8, share=True)
    old = finished(kv, backend, text(1))
    finished(kv, backend, text(2))
    backend.keep_rows = 10
    slot = kv.acquire(1, [*text(1), 9])
    assert slot is not None and (slot.seq, slot.reused) == (old, 300)


def test_what_is_dropped_goes_to_the_disk_cache(tmp_path: Path) -> None:
    store = PrefixStore(tmp_path, "model", 1 << 20)
    backend = FakeBackend(context=2000)
    backend.keep_rows = 250
    kv = KvCache(backend, keep=8, share=True, store=store)
    for first in range(1, 4):
        finished(kv, backend, text(first))
    store.finish_writing()
    assert kv.match(text(1))[1] == 0 and not store.wants(text(1))


def test_eight_chats_that_take_turns_compute_nothing_twice() -> None:
    backend = FakeBackend(context=4000, sequences=40)
    backend.keep_rows = 1900
    engine = make_engine(backend, EngineSettings(drafting=False))
    system, number = text(1, 1000), 0
    chats = [[*system, *(20 + i for _ in range(30))] for i in range(8)]
    for turn in range(3):
        for i, chat in enumerate(chats):
            number += 1
            engine.submit(GenerationRequest(number, tuple(chat), max_tokens=60, ignore_end=True))
            outcome = run(engine)[number]
            assert outcome.finished is not None
            if turn or i:
                new = 31 if turn else 30  # the last token of an answer is never computed in its own turn
                assert len(chat) - outcome.finished.stats.cached_tokens <= new
            chat += [*outcome.tokens, *(40 + turn for _ in range(30))]


def test_what_comes_back_after_it_was_dropped_makes_all_stay_longer() -> None:
    backend = FakeBackend(context=4000)
    backend.keep_rows = 450
    kv = KvCache(backend, keep=8, share=True)
    computed: list[int] = []
    for _ in range(5):  # four conversations in turn, of which two would be kept
        for first in range(1, 5):
            tokens = [*text(first), 9]
            computed.append(len(tokens) - kv.match(tokens)[1])
            finished(kv, backend, tokens)
    assert computed[:4] == [301] * 4 and computed[-4:] == [1] * 4
    for first in range(10, 60):  # and forgets that again where nothing comes back
        finished(kv, backend, text(first))
    assert kv.tree.used <= 5 * 301


def test_what_returns_shorter_or_is_held_otherwise_teaches_nothing() -> None:
    keeping = Keeping()
    keeping.drop(text(1))
    keeping.come(text(1, 100), 0)
    keeping.come([*text(1), 9], 290)
    keeping.come(text(2), 0)
    keeping.rows = 451
    assert keeping.is_over(0, 450)
    keeping.come([*text(1), 9], 10)
    assert not keeping.is_over(0, 450) and not keeping.is_over(0, 226)
    keeping.come([*text(1), 9], 10)  # once is enough
    assert keeping.is_over(0, 225)


@given(st.lists(st.integers(0, 2), max_size=12), st.lists(st.integers(0, 2), max_size=12))
def test_common_beginnings(left: list[int], right: list[int]) -> None:
    alike = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    assert common(left, right) == alike
