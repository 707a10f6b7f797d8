"""The encoder beside the engine's steps: waiting, failing, what is kept of pictures in memory and on disk"""

from collections.abc import Iterator
from collections.abc import Sequence as ReadOnly
from dataclasses import replace
from pathlib import Path

import pytest

from ggufrun.engine.backend import MemoryKind
from ggufrun.engine.pictures import Pictures
from ggufrun.engine.prefix_store import PrefixStore, StoredPrefix
from ggufrun.engine.sequence import Sequence
from ggufrun.engine.types import FinishReason
from ggufrun.errors import EngineError, ModelFileError
from tests.engine.harness import alone, make_engine, run
from tests.engine.painted import CONTEXT, SMALL, Bench, asked, picture, text
from tests.engine.test_engine import check_nothing_leaks
from tests.fake_backend import FakeBackend, FakeEncoder, FakeSampler


@pytest.fixture
def bench() -> Iterator[Bench]:
    own = Bench()
    yield own
    own.encoder.hold.set()
    own.engine.close()
    assert own.encoder.closed


# ---- the encoder


def test_streams_go_on_and_others_begin_while_a_picture_is_encoded(bench: Bench) -> None:
    bench.encoder.hold.clear()
    seeing, before, behind = asked(1, picture(1), [5]), asked(2, text(2, 40)), asked(3, text(3, 40))
    bench.ask(before)
    bench.step()
    bench.ask(seeing, behind)
    while len(bench.outcomes) < 2 or not all(outcome.ends for outcome in bench.outcomes.values()):
        bench.step()
    bench.check(before, behind)
    assert 1 not in bench.outcomes and bench.engine.busy
    bench.encoder.hold.set()
    bench.finish()
    bench.check(seeing)


def test_the_backend_rests_while_there_is_only_a_picture_to_compute(bench: Bench) -> None:
    bench.encoder.hold.clear()
    seeing, before = asked(1, text(1, 5), picture(1), [5]), asked(2, text(2, 40))
    bench.ask(before)
    bench.step()
    bench.ask(seeing)
    while not bench.outcomes[2].ends:
        bench.step()
    assert not bench.backend.rests
    bench.step()
    assert bench.backend.rests == [bench.backend.steps]
    bench.encoder.hold.set()
    bench.finish()
    assert set(bench.backend.rests) == {bench.backend.rests[0]}
    bench.check(seeing, before)


def test_pictures_of_the_first_in_the_queue_are_encoded_while_it_waits() -> None:
    bench = Bench(parallel=1)
    long = replace(asked(1, text(1, 9), most=200), ignore_end=True)
    seeing, behind = asked(2, picture(1), [5], picture(2), [6]), asked(3, picture(3), [5])
    bench.ask(long, seeing, behind)
    for _ in range(50):
        bench.step()
        bench.engine._pictures.wait(1)
    assert bench.encoder.calls == [picture(1).pixels, picture(2).pixels]
    assert len(bench.engine._scheduler.running) == 1
    bench.finish()
    bench.check(seeing, behind)


def test_a_request_cancelled_while_its_picture_is_encoded_leaves_it_to_others(bench: Bench) -> None:
    bench.encoder.hold.clear()
    bench.ask(asked(1, picture(1), [5]))
    bench.step()
    bench.engine.cancel(1)
    bench.step()
    finished = bench.outcomes[1].finished
    assert finished is not None and finished.reason is FinishReason.CANCELLED and not bench.engine.busy
    bench.encoder.hold.set()
    bench.said(asked(2, picture(1), [5]))
    assert len(bench.encoder.calls) == 1


def test_a_picture_that_nobody_waits_for_makes_way_for_another(bench: Bench) -> None:
    bench.encoder.hold.clear()
    bench.ask(asked(1, picture(1), [5]), other := asked(2, picture(2), [5]))
    bench.step(2)
    bench.engine.cancel(1)
    while len(bench.encoder.calls) < 2:  # though the first one is held for ever
        bench.step()
    bench.encoder.hold.set()
    bench.finish()
    bench.check(other)
    assert bench.encoder.calls == [picture(1).pixels, picture(2).pixels]


def test_a_picture_that_another_request_waits_for_is_taken_over(bench: Bench) -> None:
    bench.encoder.hold.clear()
    bench.ask(asked(1, picture(1), [5]), same := asked(2, picture(1), [6]), other := asked(3, picture(2), [5]))
    bench.step()
    bench.engine.cancel(1)
    bench.step(3)
    bench.encoder.hold.set()
    bench.finish()
    bench.check(same, other)
    assert bench.encoder.calls == [picture(1).pixels, picture(2).pixels]


def test_closing_gives_the_picture_up(bench: Bench) -> None:
    bench.encoder.hold.clear()
    bench.ask(asked(1, picture(1), [5]))
    bench.step()
    bench.engine.close()  # else it would wait for ever
    assert bench.encoder.closed


def test_a_request_that_waits_for_the_encoder_asks_the_disk_once(tmp_path: Path) -> None:
    """Looking into it takes longer with every file and token, and running streams pay for it."""
    asks = 0

    class Counted(PrefixStore):
        def match(self, tokens: ReadOnly[int]) -> StoredPrefix | None:
            nonlocal asks
            asks += 1
            return super().match(tokens)

    bench = Bench(store=Counted(tmp_path, "model", 1 << 20))
    bench.encoder.hold.clear()
    bench.ask(seeing := asked(1, picture(1), [5]), behind := asked(2, picture(2), [5]))
    bench.step()
    asked_before = asks
    bench.step(20)
    assert asks == asked_before
    bench.encoder.hold.set()
    bench.finish()
    bench.check(seeing, behind)
    bench.engine.close()


def test_looking_ahead_ends_when_all_is_there(tmp_path: Path) -> None:
    bench = Bench(store=PrefixStore(tmp_path, "model", 1 << 20), parallel=1)
    bench.ask(replace(asked(1, text(1, 9), most=100), ignore_end=True), seeing := asked(2, picture(1), [5]))
    while not any(each.foreseen for each in bench.engine._scheduler.waiting):
        bench.step()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.engine._kv, "promised", None)  # would raise
        bench.step(5)
    bench.finish()
    bench.check(seeing)
    bench.engine.close()


def test_looking_ahead_passes_those_without_pictures() -> None:
    bench = Bench(parallel=1)
    long = replace(asked(1, text(1, 9), most=100), ignore_end=True)
    plain, seeing = asked(2, text(2, 9)), asked(3, picture(1), [5])
    bench.ask(long, plain, seeing)
    bench.step(20)
    assert bench.encoder.calls == [picture(1).pixels] and [each.request.id for each in bench.running] == [1]
    bench.finish()
    bench.check(plain, seeing)
    bench.engine.close()


def test_looking_ahead_leaves_out_what_is_saved_on_disk(tmp_path: Path) -> None:
    first = asked(1, text(1, 40), picture(1, 20, 20), text(2, 9))
    for _ in range(2):
        store = PrefixStore(tmp_path, "model", 1 << 20)
        bench = Bench(store=store, parallel=1)
        bench.ask(replace(asked(7, text(9, 9), most=60), ignore_end=True), first)
        bench.finish()
        bench.check(first)
        seen = len(bench.encoder.calls)
        while bench.engine.idle():
            pass
        store.finish_writing()
        bench.engine.close()
    assert seen == 0 and bench.stats(first).restored_tokens > 400


def test_looking_ahead_leaves_out_what_the_one_that_runs_is_computing() -> None:
    bench = Bench(parallel=1)
    bench.engine._pictures._most = 0
    parts = text(1, 5), picture(1, 20, 20), [9], picture(2, 20, 20), text(2, 5)
    bench.ask(first := asked(1, *parts))
    while not bench.running:
        bench.step()
    bench.ask(again := asked(2, *parts, text(3, 5)))
    bench.finish()
    bench.check(first, again)
    assert len(bench.encoder.calls) == 2
    bench.engine.close()


def test_keys_that_are_not_the_pictures_own_fail_the_request(bench: Bench) -> None:
    bench.said(asked(1, picture(1), [5]))
    request = asked(2, text(1, 9), picture(2, 6, 6), [5])
    bench.ask(replace(request, images=(replace(request.images[0], key=picture(1).key),)))
    bench.finish()
    assert "30 rows" in bench.failure(2) and "36 tokens" in bench.failure(2)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (EngineError("llama.cpp could not encode a picture.", "Send a smaller one."), "Send a smaller one."),
        (ModelFileError(Path("secret/mmproj.gguf"), "there is no such file", "Check it."), "mmproj.gguf: there is no"),
        (MemoryError(), "A picture cannot be encoded: MemoryError"),
    ],
)
def test_an_encoder_that_fails_fails_that_request_only(bench: Bench, fault: Exception, words: str) -> None:
    bench.encoder.faults.append(fault)
    bad, good, plain = (asked(i, text(i, 5), *each, [5]) for i, each in enumerate([[picture(1)], [picture(2)], []]))
    bench.ask(bad, good, plain)
    bench.finish()
    bench.check(good, plain)
    assert words in bench.failure(bad.id) and "secret" not in bench.failure(bad.id)
    assert bench.said(replace(bad, id=7)) == alone(bad, CONTEXT)  # tried again
    check_nothing_leaks(bench.backend, bench.engine)


def test_a_failure_that_nobody_waits_for_any_more_is_forgotten(bench: Bench) -> None:
    bench.encoder.hold.clear()
    bench.encoder.faults.append(MemoryError())
    bench.ask(asked(1, picture(1), [5]))
    bench.step()
    bench.engine.cancel(1)
    bench.encoder.hold.set()
    bench.engine._pictures.wait(60)
    bench.said(asked(2, picture(1), [5]))
    assert len(bench.encoder.calls) == 2 and not bench.engine._pictures._failed


def test_rows_that_are_not_as_many_as_the_tokens_fail_the_request(bench: Bench) -> None:
    request = asked(1, picture(1), text(1, 5))
    bench.ask(replace(request, images=(replace(request.images[0], length=29),)))
    bench.finish()
    assert "30 rows" in bench.failure(1) and "29 tokens" in bench.failure(1)


def test_a_model_without_an_encoder_says_so() -> None:
    engine = make_engine(FakeBackend(), SMALL)
    engine.submit(asked(1, picture(1), [5]))
    failed = run(engine)[1].failed
    assert failed is not None and "without a vision encoder" in failed.message


def test_what_is_kept_is_bounded_and_what_was_used_last_stays() -> None:
    size, encoder = 30 * 4 * 4, FakeEncoder()
    pictures = Pictures(encoder, most=2 * size)

    def see(*seeds: int) -> None:
        sequence = Sequence(asked(1, *map(picture, seeds), [5]), 0.0, FakeSampler())
        while not pictures.ready(sequence, 0):
            pictures.wait(1)
            pictures.collect()
        assert len(sequence.rows) == len(seeds)

    see(1)
    see(2)
    see(1)
    see(3)  # in the place of 2
    see(1)
    assert len(encoder.calls) == 3
    see(2)
    assert len(encoder.calls) == 4
    see(1, 2, 3, 4, 5)  # more than are kept
    assert pictures._bytes == 2 * size == sum(rows.nbytes for rows in pictures._kept.values())


# ---- what memories cannot do, and the disk


def test_less_than_promised_is_made_up_for() -> None:
    """A sliding window that has passed: the tokens are known, and have to be computed again, pictures too."""
    bench = Bench(FakeBackend(context=CONTEXT, memory=MemoryKind.SLIDING))
    bench.engine._pictures._most = 0
    bench.said(asked(1, text(1, 5), picture(1), text(2, 90)))
    bench.said(asked(2, text(4, 20), picture(2), [5]))  # its rows are kept now, in the place of the others
    again = asked(3, text(1, 5), picture(1), text(3, 9))
    bench.said(again)
    assert bench.stats(again).cached_tokens == 0
    assert bench.encoder.calls == [picture(1).pixels, picture(2).pixels, picture(1).pixels]
    check_nothing_leaks(bench.backend, bench.engine)


def test_a_saved_prefix_with_a_picture_is_right_in_another_process(tmp_path: Path) -> None:
    parts = text(1, 40), picture(1, 20, 20), text(2, 9)
    for restart, restored in enumerate([0, 448]):
        store = PrefixStore(tmp_path, "model", 1 << 20)
        bench = Bench(store=store)
        request = asked(1, *parts)
        bench.said(request)
        assert bench.stats(request).restored_tokens == restored
        assert len(bench.encoder.calls) == (0 if restart else 1), "a saved picture is not encoded again"
        while bench.engine.idle():
            pass
        store.finish_writing()
        bench.engine.close()
    other = asked(2, parts[0], picture(2, 20, 20), parts[2])
    more = asked(3, *parts, picture(3), text(3, 5))
    for request, restored, seen in ((other, 0, picture(2, 20, 20)), (more, 449, picture(3))):
        bench = Bench(store=PrefixStore(tmp_path, "model", 1 << 20))
        bench.said(request)
        assert bench.stats(request).restored_tokens == restored and bench.encoder.calls == [seen.pixels]
        bench.engine.close()
