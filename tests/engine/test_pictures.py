"""Requests with pictures over a fake backend: what stands for them, how they are planned, and what is answered"""

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ggufrun.engine.backend import DecodeStatus, MemoryKind
from ggufrun.engine.draft import NgramDraft
from ggufrun.engine.image_tokens import stand_ins
from ggufrun.engine.scheduler import Generate, Prefill, Scheduler, See
from ggufrun.engine.sequence import Sequence
from ggufrun.engine.types import FinishReason, GenerationRequest, Image
from tests.engine.harness import alone
from tests.engine.painted import CONTEXT, Bench, asked, picture, text
from tests.engine.test_engine import check_nothing_leaks
from tests.fake_backend import FakeBackend, FakeSampler


@pytest.fixture
def bench() -> Iterator[Bench]:
    own = Bench()
    yield own
    own.encoder.hold.set()
    own.engine.close()
    assert own.encoder.closed


# ---- what stands for a picture


def test_a_picture_has_numbers_of_its_own_that_no_vocabulary_has() -> None:
    one, other = picture(1), picture(2)
    assert stand_ins(one) == stand_ins(replace(one, start=400)) != stand_ins(other)
    assert len(set(stand_ins(one))) == one.length
    assert all(-(2**31) <= number < 0 for number in stand_ins(one))


def test_a_draft_ends_before_a_picture() -> None:
    draft, seen = NgramDraft(), stand_ins(picture(1))
    tokens = [1, 2, 3, 4, *seen, 5, 1, 2, 3]
    draft.observe(tokens, len(tokens))
    assert draft.propose(tokens, 10) == [4]
    tokens.append(4)
    draft.observe(tokens, len(tokens) - 1)
    assert draft.propose(tokens, 10) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda image: replace(image, start=-1),
        lambda image: replace(image, length=0),
        lambda image: replace(image, start=image.start + 9),  # nothing behind it
        lambda image: replace(image, start=image.start - 31),  # inside the one before
        lambda image: replace(image, width=image.width + 1),
        lambda image: replace(image, width=0, pixels=b""),
        lambda image: replace(image, width=-image.width, height=-image.height),
    ],
)
def test_a_picture_out_of_place_fails_its_request(bench: Bench, spoil: object) -> None:
    good = asked(1, text(1, 5), picture(1), [9], picture(2), text(2, 9))
    assert callable(spoil)
    bench.ask(replace(good, images=(good.images[0], spoil(good.images[1]))))
    bench.finish()
    assert "picture" in bench.failure(1) and not bench.encoder.calls
    bench.said(replace(good, id=2))


# ---- planning


def running(request: GenerationRequest, computed: int, generated: int = 0) -> Sequence:
    made = Sequence(request, 0.0, FakeSampler())
    made.tokens += [7] * generated
    made.computed = computed
    return made


def test_rows_of_pictures_come_last_and_share_the_steps_room() -> None:
    seeing = running(asked(1, text(1, 5), picture(1), text(2, 50)), computed=15)
    reading = running(asked(2, text(3, 100)), computed=0)
    scheduler = Scheduler(parallel=8, waits=True)
    scheduler.running += [seeing, reading]
    assert seeing.request.images[0].end == 35
    image = seeing.request.images[0]
    assert scheduler.plan(64, 64) == [Prefill(reading, 44, completes=False), See(seeing, 20, image)]
    assert scheduler.plan(64, 10) == [See(seeing, 10, image)]
    seeing.computed = 35
    assert scheduler.plan(64, 64)[0] == Prefill(seeing, 50, completes=True)


def test_text_before_a_picture_ends_where_it_begins() -> None:
    scheduler = Scheduler(parallel=8, waits=True)
    scheduler.running.append(running(asked(1, text(1, 5), picture(1), text(2, 9)), computed=0))
    assert scheduler.plan(64, 64) == [Prefill(scheduler.running[0], 5, completes=False)]


def test_a_stream_that_starts_again_inside_a_picture_computes_its_rows() -> None:
    request = asked(1, text(1, 5), picture(1), text(2, 3))
    again = running(request, computed=30, generated=4)
    scheduler = Scheduler(parallel=8, waits=True)
    scheduler.running.append(again)
    assert again.pending < 32 and scheduler.plan(64, 64) == [See(again, 5, request.images[0])]
    again.computed = 35
    assert scheduler.plan(64, 64) == [Generate(again)]


# ---- answers


def test_which_pictures_how_many_and_in_which_order_makes_the_answer(bench: Bench) -> None:
    one, two, head, tail = picture(1), picture(2), text(1, 30), text(2, 5)
    parts = [(one,), (two,), (one, two), (two, one), (one, one), (one, [9], two), ()]
    said = [bench.said(asked(i, head, *each, tail)) for i, each in enumerate(parts)]
    assert len(set(map(tuple, said))) == len(said)
    assert bench.encoder.calls == [one.pixels, two.pixels]
    assert bench.said(asked(20, head, one, tail)) == said[0]


def test_a_second_question_about_a_picture_finds_it_in_the_kv_cache(bench: Bench) -> None:
    first = asked(1, text(1, 5), picture(1, 20, 20), text(2, 5))
    answer = bench.said(first)
    second = asked(2, text(1, 5), picture(1, 20, 20), text(2, 5), answer, text(3, 6))
    bench.said(second)
    assert len(bench.encoder.calls) == 1
    assert bench.stats(second).cached_tokens >= len(first.prompt)
    third = asked(3, text(1, 5), picture(1, 20, 20), text(4, 7))  # another question: the picture is shared
    bench.said(third)
    assert bench.stats(third).cached_tokens == 405


def test_another_picture_of_the_same_size_shares_what_stands_before_it_and_no_more(bench: Bench) -> None:
    bench.said(asked(1, text(1, 40), picture(1), text(2, 5)))
    other = asked(2, text(1, 40), picture(2), text(2, 5))
    bench.said(other)
    assert bench.stats(other).cached_tokens == 40


def test_rows_are_kept_when_the_kv_cells_are_not() -> None:
    bench = Bench(share_prefixes=False)
    said = [bench.said(asked(i, text(1, 5), picture(1), text(2, 5))) for i in range(3)]
    assert said[0] == said[1] == said[2] and len(bench.encoder.calls) == 1


def test_rows_are_let_go_of_when_they_are_computed(bench: Bench) -> None:
    bench.ask(asked(1, text(1, 5), picture(1, 30, 10), [9], picture(2), text(2, 5), most=30))
    held = []
    for _ in range(100):
        bench.step()
        held += [set(each.rows) for each in bench.engine._scheduler.running]
    assert [each for i, each in enumerate(held) if each not in held[:i]] == [{5, 306}, {306}, set()]


def test_the_same_picture_asked_about_at_once_is_encoded_and_computed_once(bench: Bench) -> None:
    requests = [asked(i, text(1, 5), picture(1, 20, 20), text(10 + i, 5)) for i in range(4)]
    bench.ask(*requests)
    bench.finish()
    bench.check(*requests)
    assert len(bench.encoder.calls) == 1
    assert sorted(bench.stats(each).cached_tokens for each in requests) == [0, 405, 405, 405]


@pytest.mark.parametrize("memory", list(MemoryKind))
@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("seed", range(12))  # not drawn as it goes: the encoder's thread is done when it is
def test_random_traffic_with_pictures_equals_the_lone_run(seed: int, memory: MemoryKind, share: bool) -> None:
    rng = random.Random(seed)
    bench = Bench(FakeBackend(context=rng.choice([200, 400]), memory=memory), share_prefixes=share)
    bench.engine._pictures._most = rng.choice([0, 1000, 10**6])  # bytes: none is kept, a few, all
    pictures = [picture(seed, rng.randrange(1, 6), rng.randrange(1, 6)) for seed in range(4)]
    todo = []
    for id in range(rng.randrange(1, 12)):
        choices: list[Image | list[int]] = [rng.choice(pictures), text(rng.randrange(3), rng.randrange(20))]
        parts = [rng.choice(choices) for _ in range(4)]
        todo.append(asked(id, text(id % 2, 9), *parts, text(id, 3), most=rng.choice([1, 10, 60])))
    waiting, cancelled = list(todo), set()
    while waiting or bench.engine.busy:
        while waiting and rng.random() < 0.4:
            bench.ask(waiting.pop())
        if rng.random() < 0.03:
            cancelled.add(victim := rng.choice(todo).id)
            bench.engine.cancel(victim)
        bench.step()
    for request in todo:
        outcome, expected = bench.outcomes[request.id], alone(request, bench.backend.limits.context)
        assert outcome.failed is None and outcome.finished is not None
        whole = outcome.finished.reason is not FinishReason.CANCELLED
        assert whole or request.id in cancelled
        assert outcome.tokens == (expected if whole else expected[: len(outcome.tokens)])
    check_nothing_leaks(bench.backend, bench.engine)
    bench.engine.close()


def test_preempted_requests_see_their_pictures_again() -> None:
    bench = Bench(FakeBackend(context=300), drafting=False)
    for i in range(6):  # encoded beforehand, so that all begin in one step
        bench.said(asked(10 + i, picture(i), [5]))
    requests = [replace(asked(i, text(i, 5), picture(i), text(i, 4), most=60), ignore_end=True) for i in range(6)]
    bench.ask(*requests)
    bench.step()
    bench.engine._pictures._kept.clear()
    bench.finish()
    lone = Bench(drafting=False, parallel=1)
    lone.ask(*requests)
    lone.finish()
    for request in requests:
        assert bench.outcomes[request.id].ends == 1
        assert bench.outcomes[request.id].tokens == lone.outcomes[request.id].tokens
    assert sum(bench.stats(each).preemptions for each in requests) > 0
    assert len(bench.encoder.calls) > len(requests)


def test_room_that_was_made_for_tokens_is_not_taken_by_pictures() -> None:
    """Else one stream after the other would make way for a picture that came last."""
    bench = Bench(drafting=False, share_prefixes=False)
    bench.said(asked(9, picture(1, 30, 30), [5], most=1))  # its rows are kept
    seeing = asked(2, picture(1, 30, 30), [5])
    streams = [replace(asked(i, text(i, 4), most=200), ignore_end=True) for i in (1, 3)]
    bench.ask(streams[0], seeing)
    bench.step()
    bench.ask(streams[1])
    while len(bench.backend.batches[-1]) > 1 or bench.backend.batches[-1][0].embeddings is None:
        bench.step()
    before = bench.backend.steps
    bench.backend._faults = {before + 1: DecodeStatus.NO_ROOM}
    bench.step()
    assert bench.backend.steps == before + 1, "no pictures behind tokens that found no room"
    assert [each.request.id for each in bench.running] == [1, 2]
    bench.finish()
    assert bench.stats(streams[1]).preemptions == 1
    bench.check(seeing)


def test_a_step_that_fails_at_a_picture_fails_what_runs_and_no_more() -> None:
    for fatal in range(1, 8):
        bench = Bench(FakeBackend(context=CONTEXT, faults={fatal: DecodeStatus.FATAL}), parallel=2)
        requests = [asked(i, text(i, 5), picture(i, 12, 10), text(i, 4)) for i in range(4)]
        bench.ask(*requests)
        bench.finish()
        whole = [each for each in requests if bench.outcomes[each.id].failed is None]
        bench.check(*whole)
        assert 2 <= len(whole) < 4
        check_nothing_leaks(bench.backend, bench.engine)
