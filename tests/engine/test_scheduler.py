"""Scheduling decisions one by one; the engine's tests cover them in company."""

import pytest

from ggufrun.engine.scheduler import Generate, Prefill, Scheduler
from ggufrun.engine.sequence import DECODE_ROWS, Sequence
from ggufrun.engine.types import GenerationRequest
from tests.fake_backend import FakeSampler


def sequence(id: int, prompt: int, computed: int = 0, generated: int = 0, arrived: float = 0.0) -> Sequence:
    made = Sequence(GenerationRequest(id, tuple(range(1, prompt + 1))), arrived, FakeSampler())
    made.tokens += [7] * generated
    made.computed = computed
    return made


def scheduler(*running: Sequence, waits: bool = True) -> Scheduler:
    made = Scheduler(parallel=8, waits=waits)
    made.running += running
    return made


def test_every_generating_sequence_is_in_every_step_and_prompts_share_the_rest() -> None:
    streams = [sequence(i, 10, computed=10, generated=1) for i in range(3)]
    prompts = [sequence(10, 100), sequence(11, 100)]
    plan = scheduler(*streams, *prompts).plan(batch=64, prefill=40)
    assert [item.sequence for item in plan] == [*streams, prompts[0]]
    assert plan[-1] == Prefill(prompts[0], 40, completes=False)
    plan = scheduler(*streams, *prompts).plan(batch=64, prefill=64)
    assert plan[-1] == Prefill(prompts[0], 61, completes=False)


def test_short_prompts_share_a_step() -> None:
    prompts = [sequence(i, 10) for i in range(4)]
    plan = scheduler(*prompts).plan(batch=64, prefill=35)
    assert [(item.count, item.completes) for item in plan if isinstance(item, Prefill)] == [
        *[(10, True)] * 3,
        (5, False),
    ]


@pytest.mark.parametrize(("pending", "kind"), [(DECODE_ROWS, Generate), (DECODE_ROWS + 1, Prefill)])
def test_a_long_debt_of_forced_tokens_is_computed_like_a_prompt(pending: int, kind: type) -> None:
    owing = sequence(1, 10, computed=10, generated=pending)
    assert isinstance(scheduler(owing).plan(batch=64, prefill=64)[0], kind)


def test_a_draft_that_does_not_fit_is_left_out() -> None:
    stream = sequence(1, 10, computed=10, generated=1)
    drafted = Generate(stream, tuple(range(20)))
    assert scheduler(stream).plan(64, 64, [drafted]) == [drafted]
    assert scheduler(stream).plan(16, 16, [drafted]) == [Generate(stream)]


def test_a_prefix_that_is_being_computed_is_waited_for_only_if_it_saves_much() -> None:
    follower = sequence(2, 300)
    assert scheduler(sequence(1, 300, computed=50)).should_wait(follower, held=50)
    assert not scheduler(sequence(1, 300, computed=295)).should_wait(follower, held=295)
    assert not scheduler(sequence(1, 300, computed=50), waits=False).should_wait(follower, held=50)
    assert not scheduler(sequence(1, 300, computed=300, generated=1)).should_wait(follower, held=299)
    assert not scheduler().should_wait(follower, held=0)


def test_the_youngest_is_preempted_and_never_the_only_one() -> None:
    old, young = sequence(1, 10, arrived=1.0), sequence(2, 10, arrived=2.0)
    crowded = scheduler(old, young)
    crowded.waiting.append(sequence(3, 10, arrived=3.0))
    assert crowded.preempt() is young
    assert crowded.waiting[0] is young and crowded.running == [old]
    assert crowded.preempt() is None


def test_nothing_is_admitted_that_would_soon_take_cells_from_the_running() -> None:
    crowded = scheduler(sequence(1, 60, computed=60, generated=1))
    assert crowded.has_room(sequence(2, 20), reused=0, pinned=60, context=128)
    assert not crowded.has_room(sequence(2, 60), reused=0, pinned=60, context=128)
    assert crowded.has_room(sequence(2, 60), reused=40, pinned=60, context=128)
    assert scheduler().has_room(sequence(2, 127), reused=0, pinned=0, context=128)
