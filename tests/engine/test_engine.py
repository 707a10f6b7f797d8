"""The engine over a fake backend: every request ends once, nothing leaks, and company never changes an answer."""

import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ggufrun.engine.backend import DecodeStatus, MemoryKind
from ggufrun.engine.types import FinishReason, GenerationRequest, SamplingParams, Tokens
from ggufrun.settings import EngineSettings
from tests.engine.harness import Outcome, alone, make_engine, record, run
from tests.fake_backend import FakeBackend

SMALL = EngineSettings(parallel=6, batch=64, cached_sequences=5)


def prompt(rng: random.Random, stems: list[list[int]], most: int = 70) -> tuple[int, ...]:
    stem = rng.choice(stems)
    return (*stem, *[rng.randrange(1, 64) for _ in range(rng.randrange(1, most - len(stem)))])


def requests(rng: random.Random, count: int) -> list[GenerationRequest]:
    stems = [[rng.randrange(1, 64) for _ in range(n)] for n in (0, 20, 40, 60)]
    return [GenerationRequest(i, prompt(rng, stems), max_tokens=rng.choice([1, 2, 10, 60, None])) for i in range(count)]


@settings(max_examples=settings().max_examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.randoms(use_true_random=False), st.sampled_from(list(MemoryKind)), st.booleans(), st.booleans())
def test_random_traffic_ends_once_and_equals_the_lone_run(
    rng: random.Random, memory: MemoryKind, share: bool, drafting: bool
) -> None:
    backend = FakeBackend(context=rng.choice([128, 200, 400]), memory=memory)
    engine = make_engine(backend, replace(SMALL, share_prefixes=share, drafting=drafting))
    todo, cancelled = requests(rng, rng.randrange(1, 14)), set()
    outcomes: dict[int, Outcome] = {}
    waiting = list(todo)
    for _ in range(6000):
        while waiting and rng.random() < 0.4:
            engine.submit(waiting.pop())
        if rng.random() < 0.03:
            victim = rng.choice(todo).id
            engine.cancel(victim)
            cancelled.add(victim)
        record(outcomes, engine.step())
        if not waiting and not engine.busy:
            break
    assert not engine.busy
    for request in todo:
        outcome, expected = outcomes[request.id], alone(request, backend.limits.context)
        assert outcome.ends == 1 and outcome.failed is None
        assert outcome.finished is not None
        if outcome.finished.reason is FinishReason.CANCELLED:
            assert request.id in cancelled
            assert outcome.tokens == expected[: len(outcome.tokens)]
        else:
            assert outcome.tokens == expected
            assert outcome.finished.stats.completion_tokens == len(expected)
    check_nothing_leaks(backend, engine)


def check_nothing_leaks(backend: FakeBackend, engine: object) -> None:
    kv = engine._kv  # type: ignore[attr-defined]
    held = {seq for seq, cells in backend.cells.items() if cells}
    assert held == set(kv._cached), "only finished sequences, kept as cache, hold cells"
    assert sorted([*kv._free, *kv._cached]) == list(range(backend.limits.sequences))
    assert kv.tree.used == backend.used
    assert all(sampler.closed for sampler in backend.samplers)


@pytest.mark.parametrize("status", [DecodeStatus.NO_ROOM, DecodeStatus.FATAL])
def test_bad_decodes_end_requests_or_are_survived(status: DecodeStatus) -> None:
    for seed in range(40):
        rng = random.Random(seed)
        faulty = dict.fromkeys((rng.randrange(1, 60) for _ in range(6)), status)
        backend = FakeBackend(faults=faulty)
        engine = make_engine(backend, SMALL)
        todo = requests(rng, 8)
        for request in todo:
            engine.submit(request)
        outcomes = run(engine)
        for request in todo:
            outcome, expected = outcomes[request.id], alone(request, backend.limits.context)
            assert outcome.ends == 1
            if outcome.failed is None and outcome.finished is not None:
                whole = outcome.tokens == expected
                assert whole or (outcome.finished.reason is FinishReason.CONTEXT and status is DecodeStatus.NO_ROOM)
        check_nothing_leaks(backend, engine)


def test_eight_requests_share_one_system_prompt_that_is_computed_once() -> None:
    backend = FakeBackend(context=1000, sequences=40)
    engine = make_engine(backend, replace(SMALL, parallel=8))
    system = tuple(random.Random(1).randrange(1, 64) for _ in range(400))
    for i in range(8):
        engine.submit(GenerationRequest(i, (*system, 10 + i, 20 + i), max_tokens=4))
    outcomes = run(engine)
    computed = sum(len(r.tokens) for b in backend.batches for r in b)
    assert computed < 400 + 8 * (2 + 8 + 20)
    cached = [outcomes[i].finished.stats.cached_tokens for i in range(8)]  # type: ignore[union-attr]
    assert sorted(cached) == [0] + [400] * 7
    for i in range(8):
        assert outcomes[i].tokens == alone(GenerationRequest(i, (*system, 10 + i, 20 + i), max_tokens=4), 1000)


def test_a_followed_leader_that_is_cancelled_does_not_strand_the_followers() -> None:
    backend = FakeBackend(context=1000)
    engine = make_engine(backend, SMALL)
    system = tuple(random.Random(1).randrange(1, 64) for _ in range(400))
    for i in range(3):
        engine.submit(GenerationRequest(i, (*system, 10 + i), max_tokens=4))
    outcomes: dict[int, Outcome] = {}
    record(outcomes, engine.step())
    engine.cancel(0)
    for _ in range(200):
        record(outcomes, engine.step())
    assert all(outcomes[i].ends == 1 for i in range(3))
    assert outcomes[1].finished is not None and outcomes[1].finished.stats.cached_tokens >= 60


def test_followers_in_a_sliding_window_share_before_the_leader_has_passed_on() -> None:
    backend = FakeBackend(context=2000, memory=MemoryKind.SLIDING, window=24)
    engine = make_engine(backend, SMALL)
    shared = tuple(random.Random(1).randrange(1, 64) for _ in range(230))
    tail = tuple(random.Random(2).randrange(1, 64) for _ in range(300))
    leader = GenerationRequest(0, (*shared, *tail), max_tokens=4)
    followers = [GenerationRequest(i, (*shared, 10 + i, 20 + i), max_tokens=4) for i in (1, 2)]
    for request in (leader, *followers):
        engine.submit(request)
    outcomes = run(engine)
    for request in followers:
        finished = outcomes[request.id].finished
        assert finished is not None and finished.stats.cached_tokens == len(shared)
        assert outcomes[request.id].tokens == alone(request, 2000)


def test_cells_shared_with_a_finished_request_are_charged_once() -> None:
    """A runs on a prefix that B computed; C shares it too and starts beside A instead of waiting for its end."""
    backend = FakeBackend(context=400)
    engine = make_engine(backend, SMALL)
    stem = tuple(random.Random(1).randrange(1, 64) for _ in range(200))
    engine.submit(GenerationRequest(1, (*stem, 1, 2), max_tokens=1))
    run(engine)
    engine.submit(GenerationRequest(2, (*stem, 3, 4), max_tokens=120, ignore_end=True))
    outcomes: dict[int, Outcome] = {}
    record(outcomes, engine.step())
    engine.submit(GenerationRequest(3, (*stem, 5, 6), max_tokens=2, ignore_end=True))
    for _ in range(5):
        record(outcomes, engine.step())
    assert outcomes[3].finished is not None and outcomes[2].ends == 0


def test_a_second_turn_goes_on_where_the_first_ended() -> None:
    backend = FakeBackend(context=1000)
    engine = make_engine(backend, SMALL)
    first = GenerationRequest(1, tuple(range(1, 41)), max_tokens=20)
    engine.submit(first)
    said = run(engine)[1].tokens
    engine.submit(GenerationRequest(2, (*first.prompt, *said, 7, 8, 9), max_tokens=5))
    outcome = run(engine)[2]
    assert outcome.finished is not None
    assert outcome.finished.stats.cached_tokens == len(first.prompt) + len(said) - 1


def test_running_streams_get_a_token_in_every_step_of_a_long_prompt() -> None:
    backend = FakeBackend(context=2000)
    engine = make_engine(backend, replace(SMALL, drafting=False, gap_ms=30))
    streams = [GenerationRequest(i, (i + 1, 5), max_tokens=400, ignore_end=True) for i in range(4)]
    for request in streams:
        engine.submit(request)
    outcomes: dict[int, Outcome] = {}
    for _ in range(5):
        record(outcomes, engine.step())
    engine.submit(GenerationRequest(9, tuple(1 + i % 63 for i in range(1500)), max_tokens=2))
    steps = 0
    while not (outcomes.get(9) and outcomes[9].tokens):
        before = [len(outcomes[i].tokens) for i in range(4)]
        record(outcomes, engine.step())
        steps += 1
        assert [len(outcomes[i].tokens) for i in range(4)] == [b + 1 for b in before]
    assert 20 < steps < 120


def test_preempted_requests_finish_correctly() -> None:
    backend = FakeBackend(context=200)
    engine = make_engine(backend, replace(SMALL, drafting=False))
    todo = [GenerationRequest(i, tuple(range(1 + i, 11 + i)), max_tokens=90, ignore_end=True) for i in range(6)]
    for request in todo:
        engine.submit(request)
    outcomes = run(engine)
    assert sum(o.finished.stats.preemptions for o in outcomes.values() if o.finished) > 0
    assert all(len(o.tokens) == 90 for o in outcomes.values())
    check_nothing_leaks(backend, engine)


def test_drafting_saves_steps_and_changes_nothing() -> None:
    request = GenerationRequest(1, tuple([*range(1, 30)] * 3), max_tokens=100, ignore_end=True)
    steps, said = [], []
    for drafting in (False, True):
        backend = FakeBackend(context=400)
        engine = make_engine(backend, replace(SMALL, drafting=drafting))
        engine.submit(request)
        outcome = run(engine)[1]
        assert outcome.finished is not None
        steps.append(outcome.finished.stats.model_steps)
        said.append(outcome.tokens)
        assert (outcome.finished.stats.accepted_tokens > 0) == drafting
    assert said[0] == said[1]
    assert steps[1] < 0.8 * steps[0]


def test_logprobs_come_with_every_token() -> None:
    backend = FakeBackend()
    engine = make_engine(backend, SMALL)
    engine.submit(GenerationRequest(1, (3, 4, 5), SamplingParams(logprobs=2), max_tokens=10, ignore_end=True))
    events = []
    while engine.busy:
        events += engine.step()
    tokens = [event for event in events if isinstance(event, Tokens)]
    assert sum(len(event.tokens) for event in tokens) == 10
    for event in tokens:
        assert [p.token for p in event.logprobs] == list(event.tokens)
        assert all(len(p.top) == 2 and p.top[0][0] == p.token and -0.5 < p.logprob < 0 for p in event.logprobs)


def test_a_prompt_that_does_not_fit_fails_without_touching_the_model() -> None:
    backend = FakeBackend(context=64)
    engine = make_engine(backend, SMALL)
    engine.submit(GenerationRequest(1, tuple([1] * 64)))
    engine.submit(GenerationRequest(2, ()))
    outcomes = run(engine)
    assert outcomes[1].failed is not None and "64" in outcomes[1].failed.message
    assert outcomes[2].failed is not None
    assert backend.steps == 0


def test_a_quiet_moment_needs_no_grammars() -> None:
    """A vocabulary without an end token cannot have any, and must not end the worker for it."""
    assert make_engine(FakeBackend(), SMALL).idle() is False


def test_what_is_computed_is_told_before_it_is() -> None:
    """Chunks of a prompt have no outputs but the last: nothing is waited for where other machines compute them."""
    backend = FakeBackend(context=200)
    told: list[tuple[int, bool]] = []

    def hear(rows: int, answered: bool) -> None:
        assert len(backend.batches) == len(told)
        told.append((rows, answered))

    engine = make_engine(backend, replace(SMALL, batch=16, drafting=False), computing=hear)
    engine.submit(GenerationRequest(1, tuple(range(1, 41)), max_tokens=3))
    run(engine)
    assert told == [(16, False), (16, False), (8, True), (1, True), (1, True)]
