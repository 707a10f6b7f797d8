"""The engine on real models: company and caching change greedy answers no more than rounding does."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ggufrun.engine.backend import DecodeStatus, Run
from ggufrun.engine.engine import Engine
from ggufrun.engine.grammar import GrammarCompiler
from ggufrun.engine.prefix_store import PrefixStore
from ggufrun.engine.types import FinishReason, GenerationRequest, SamplingParams
from ggufrun.llama.backend import LlamaBackend
from ggufrun.llama.vocabulary import LlamaVocabulary
from ggufrun.settings import EngineSettings, ModelSettings
from tests.engine.harness import Outcome, record, run

pytestmark = pytest.mark.model

# One thread: two threads that share a busy machine's cores wait for each other at every matrix product.
SETTINGS = EngineSettings(parallel=8, batch=256)
LOGITS, EQUAL = 1.5, 0.9  # how far from the maximum a greedy token may be, and how many must be the maximum
TEXT = "The dragon learned to cook. It burned the soup, the bread and the table, and then it read a book about tea. "


class Rig:
    """One loaded model; engines are made anew over it."""

    def __init__(self, path: Path, context: int) -> None:
        self.backend = LlamaBackend.load(ModelSettings(path, context=context, threads=1), SETTINGS, None)
        self.vocabulary = LlamaVocabulary(self.backend.model)
        self.grammars = GrammarCompiler(self.vocabulary)

    def engine(self, settings: EngineSettings = SETTINGS, store: PrefixStore | None = None) -> Engine:
        self.backend.reset()
        return Engine(self.backend, settings, self.grammars, store)

    def tokens(self, text: str) -> tuple[int, ...]:
        return tuple(self.vocabulary.tokenize(text, special=True))

    def check_greedy(self, request: GenerationRequest, said: list[int]) -> tuple[int, int]:
        """Teacher-force the answer alone: (tokens that are the maximum, tokens)."""
        self.backend.reset()
        line, best = [*request.prompt, *said], 0
        for start in range(0, len(line) - 1, 256):
            part = line[start : min(start + 256, len(line) - 1)]
            assert self.backend.decode([Run(0, start, part, len(part))]) is DecodeStatus.OK
            for row in range(max(0, len(request.prompt) - 1 - start), len(part)):
                logits, token = self.backend.logits(row), line[start + row + 1]
                assert logits[token] >= logits.max() - LOGITS
                best += int(logits.argmax()) == token
        return best, len(said)


@pytest.fixture(scope="module")
def demo(demo_path: Path) -> Iterator[Rig]:
    rig = Rig(demo_path, 2048)
    yield rig
    rig.backend.close()


def mixed(rig: Rig, rng: random.Random, count: int) -> list[GenerationRequest]:
    stems = [rig.tokens(TEXT * n) for n in (0, 1, 3)]
    asked = [rng.choice(stems) + rig.tokens(f"Story {i} is about {rng.choice(TEXT.split())}") for i in range(count)]
    return [GenerationRequest(i, prompt, max_tokens=rng.choice([4, 16, 40])) for i, prompt in enumerate(asked)]


def together(engine: Engine, todo: list[GenerationRequest], rng: random.Random) -> dict[int, Outcome]:
    """Random arrivals, and now and then somebody leaves."""
    outcomes: dict[int, Outcome] = {}
    waiting = list(todo)
    while waiting or engine.busy:
        while waiting and rng.random() < 0.3:
            engine.submit(waiting.pop())
        if rng.random() < 0.02:
            engine.cancel(rng.choice(todo).id)
        record(outcomes, engine.step())
    return outcomes


def check_all(rig: Rig, todo: list[GenerationRequest], outcomes: dict[int, Outcome]) -> None:
    best = total = 0
    for request in todo:
        outcome = outcomes[request.id]
        assert outcome.ends == 1 and outcome.failed is None
        equal, said = rig.check_greedy(request, outcome.tokens) if outcome.tokens else (0, 0)
        best, total = best + equal, total + said
    assert total > 0 and best >= EQUAL * total, f"{best} of {total} tokens are the maximum"


def test_64_mixed_requests_say_what_they_say_alone(demo: Rig) -> None:
    rng = random.Random(5)
    todo = mixed(demo, rng, 64)
    engine = demo.engine()
    outcomes = together(engine, todo, rng)
    kv = engine._kv
    assert sorted([*kv._free, *kv._cached]) == list(range(demo.backend.limits.sequences)), "a sequence id leaked"
    assert sum(o.finished.stats.cached_tokens for o in outcomes.values() if o.finished) > 0
    check_all(demo, todo[::2], outcomes)


def test_the_same_request_alone_gives_the_same_text(demo: Rig) -> None:
    request = replace(mixed(demo, random.Random(3), 1)[0], max_tokens=30)
    for sampling in (SamplingParams(), SamplingParams(temperature=1.0, seed=7)):
        said = []
        for _ in range(2):
            engine = demo.engine()
            engine.submit(replace(request, sampling=sampling))
            said.append(run(engine)[request.id].tokens)
        assert said[0] == said[1]


def test_preempted_requests_complete(demo_path: Path) -> None:
    rig = Rig(demo_path, 512)
    try:
        engine = rig.engine(replace(SETTINGS, drafting=False))  # in step with each other, so that the cells run out
        todo = [
            GenerationRequest(i, rig.tokens(f"{TEXT} Tell me about {i}"), max_tokens=140, ignore_end=True)
            for i in range(8)
        ]
        for request in todo:
            engine.submit(request)
        outcomes = run(engine)
        assert all(len(outcome.tokens) == 140 for outcome in outcomes.values())
        assert sum(o.finished.stats.preemptions for o in outcomes.values() if o.finished) > 0
        check_all(rig, todo[:2], outcomes)
    finally:
        rig.backend.close()


def test_a_stored_prefix_continues_like_a_computed_one(demo: Rig, tmp_path: Path) -> None:
    request = GenerationRequest(1, demo.tokens(TEXT * 16 + "The end was"), max_tokens=20)
    said = []
    for _ in range(2):
        store = PrefixStore(tmp_path, "demo", 1 << 30)
        engine = demo.engine(store=store)
        engine.submit(request)
        outcome = run(engine)[1]
        while engine.idle():
            pass
        store.finish_writing()
        assert outcome.finished is not None
        said.append((outcome.tokens, outcome.finished.stats.restored_tokens))
    assert said[0][1] == 0 and said[1][1] == len(request.prompt) - 1
    best, total = demo.check_greedy(request, said[1][0])
    assert best >= EQUAL * total


@pytest.mark.parametrize("kind", ["gemma", "recurrent-tiny"])
def test_other_memories_are_right(kind: str, request: pytest.FixtureRequest) -> None:
    """Sliding windows and recurrent states: shared, cached and continued prompts say what a lone run says."""
    tiny: Callable[[str], Path] = request.getfixturevalue("tiny_model")
    path = request.getfixturevalue("gemma_path") if kind == "gemma" else tiny(kind)
    rig = Rig(path, 2048)
    try:
        rng = random.Random(2)
        stem = TEXT * (21 if kind == "gemma" else 3)  # longer than Gemma's window of 512
        todo = [GenerationRequest(i, rig.tokens(f"{stem}{'and ' * i}so it"), max_tokens=12) for i in range(3)]
        engine = rig.engine()
        outcomes = together(engine, todo, random.Random(100))
        second = GenerationRequest(9, (*todo[0].prompt, *outcomes[0].tokens, *rig.tokens(" Then")), max_tokens=12)
        outcomes |= together(engine, [second], rng)
        check_all(rig, [*todo, second], outcomes)
        finished = outcomes[9].finished
        if finished is not None and finished.reason is not FinishReason.CANCELLED:
            assert finished.stats.cached_tokens > 0
    finally:
        rig.backend.close()


def test_logprobs_are_of_the_raw_distribution(demo: Rig) -> None:
    engine = demo.engine()
    sampling = SamplingParams(temperature=0.0, logprobs=3)
    request = GenerationRequest(1, demo.tokens(TEXT), sampling, max_tokens=3)
    engine.submit(request)
    events = []
    while engine.busy:
        events += engine.step()
    logprobs = [entry for event in events for entry in getattr(event, "logprobs", ())]
    demo.backend.reset()
    line = [*request.prompt, *(entry.token for entry in logprobs)]
    assert demo.backend.decode([Run(0, 0, line, len(line))]) is DecodeStatus.OK
    for at, entry in enumerate(logprobs):
        row = demo.backend.logits(len(request.prompt) - 1 + at).astype(np.float64)
        expected = row[entry.token] - np.logaddexp.reduce(row)
        assert abs(expected - entry.logprob) < 0.2 and len(entry.top) == 3 and entry.top[0][0] == entry.token
