"""The engine on a tiny model that sees: company, caching and restarts change answers only by rounding"""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from ggufrun.engine.backend import DecodeStatus, Run
from ggufrun.engine.engine import Engine
from ggufrun.engine.grammar import GrammarCompiler
from ggufrun.engine.messages import WorkerSettings
from ggufrun.engine.prefix_store import PrefixStore
from ggufrun.engine.service import Service
from ggufrun.engine.types import Failed, Finished, GenerationRequest, Image
from ggufrun.llama.backend import LlamaBackend
from ggufrun.llama.identity import state_key
from ggufrun.llama.open import FACTORY
from ggufrun.llama.vision import LlamaVision
from ggufrun.settings import EngineSettings, ModelSettings
from tests.engine.harness import Outcome, record, run
from tests.engine.painted import asked, text
from tests.engine.services import read

SETTINGS = EngineSettings(parallel=6, batch=128, cached_sequences=6)
LOGITS, EQUAL = 0.5, 0.97  # how far from the maximum a greedy token may be, and how many must be the maximum
IMG_END = [13]


def picture(seed: int, wide: int = 5, high: int = 4) -> Image:
    """Noise of so many tokens each way, at no place yet."""
    width, height = 28 * wide, 28 * high
    pixels = random.Random(seed).randbytes(3 * width * height)
    key = hashlib.sha256(f"{width}x{height}".encode() + pixels).hexdigest()
    return Image(0, wide * high + high - 1, width, height, pixels, key)


class Counted(LlamaVision):
    calls = 0

    def encode(self, width: int, height: int, pixels: bytes, stopped: Callable[[], bool] = lambda: False) -> np.ndarray:
        self.calls += 1
        return super().encode(width, height, pixels, stopped)

    def close(self) -> None:
        """Stays open for the next engine."""


class Rig:
    """One loaded model and its encoder; engines are made anew over them."""

    def __init__(self, folder: Path) -> None:
        settings = ModelSettings(folder / "model.gguf", context=1024, threads=1)
        self.backend = LlamaBackend.load(settings, SETTINGS)
        self.vision = Counted(folder / "mmproj.gguf", self.backend.model, threads=1, gpu=False)

    def engine(self, settings: EngineSettings = SETTINGS, store: PrefixStore | None = None) -> Engine:
        self.backend.reset()
        self.vision.calls = 0
        compiler = GrammarCompiler.__new__(GrammarCompiler)  # no request of these tests has a grammar
        return Engine(self.backend, settings, compiler, store, self.vision)

    def said(self, engine: Engine, *requests: GenerationRequest) -> list[Outcome]:
        for request in requests:
            engine.submit(request)
        outcomes = run(engine)
        return [outcomes[request.id] for request in requests]

    def check_greedy(self, request: GenerationRequest, said: list[int]) -> int:
        """Teacher-force the answer alone: how many of its tokens are the maximum."""
        self.backend.reset()
        start = 0
        for image in request.images:
            self._feed(start, request.prompt[start : image.start], 0)
            rows = self.vision.encode(image.width, image.height, image.pixels)
            for at in range(0, image.length, 128):
                part = rows[at : at + 128]
                run = Run(0, image.start + at, [-1] * len(part), 0, part)
                assert self.backend.decode([run]) is DecodeStatus.OK
            start = image.end
        self._feed(start, [*request.prompt[start:], *said][:-1], len(said))
        logits = [self.backend.logits(row) for row in range(len(said))]
        assert all(each[token] >= each.max() - LOGITS for each, token in zip(logits, said, strict=True))
        return sum(int(each.argmax()) == token for each, token in zip(logits, said, strict=True))

    def _feed(self, start: int, tokens: Sequence[int], outputs: int) -> None:
        if tokens:
            assert self.backend.decode([Run(0, start, tokens, outputs)]) is DecodeStatus.OK


@pytest.fixture(scope="module")
def rig(tiny_vision: Path) -> Iterator[Rig]:
    rig = Rig(tiny_vision)
    yield rig
    LlamaVision.close(rig.vision)
    rig.backend.close()


def mixed(rng: random.Random, count: int) -> list[GenerationRequest]:
    """Half of them with one to three pictures out of three, at some place in the text."""
    made = []
    for id in range(count):
        parts: list[Image | list[int]] = [text(id % 3, 20)]
        for _ in range(rng.choice([0, 0, 1, 2, 3])):
            parts += [picture(rng.randrange(3), rng.randrange(1, 6), rng.randrange(1, 6)), IMG_END, text(id, 3)]
        made.append(asked(id, *parts, text(id, 5), most=rng.choice([4, 16, 30])))
    return made


def test_pictures_and_text_together_say_what_they_say_alone(rig: Rig) -> None:
    rng, outcomes = random.Random(1), dict[int, Outcome]()
    todo = mixed(rng, 24)
    engine, waiting = rig.engine(), list(todo)
    while waiting or engine.busy:
        while waiting and rng.random() < 0.3:
            engine.submit(waiting.pop())
        if rng.random() < 0.02:
            engine.cancel(rng.choice(todo).id)
        record(outcomes, engine.step())
    best = total = 0
    for request in todo:
        outcome = outcomes[request.id]
        assert (outcome.ends, outcome.failed) == (1, None)
        if outcome.tokens:
            best, total = best + rig.check_greedy(request, outcome.tokens), total + len(outcome.tokens)
    assert total > 200 and best >= EQUAL * total, f"{best} of {total} tokens are the maximum"


def test_pictures_their_order_and_their_number_make_the_answer(rig: Rig) -> None:
    one, two, tail = picture(1), picture(2), [*IMG_END, *text(2, 5)]
    engine = rig.engine()
    parts = [(one,), (two,), (one, IMG_END, two), (two, IMG_END, one), (one, IMG_END, one), ()]
    said = [rig.said(engine, asked(i, text(1, 20), *each, tail))[0].tokens for i, each in enumerate(parts)]
    assert len(set(map(tuple, said))) == len(parts) and rig.vision.calls == 2
    for share in (True, False):  # cached and fresh, of rows and of the KV cache
        fresh = rig.engine(replace(SETTINGS, share_prefixes=share))
        for i, each in enumerate(parts[:3]):
            request = asked(i, text(1, 20), *each, tail)
            assert [rig.said(fresh, replace(request, id=n))[0].tokens for n in (50, 51)] == [said[i], said[i]]


def test_a_second_question_about_a_picture_encodes_nothing_and_finds_its_prefix(rig: Rig) -> None:
    engine, seen = rig.engine(), picture(1, 12, 9)
    first = asked(1, text(1, 5), seen, IMG_END, text(2, 5))
    answer = rig.said(engine, first)[0].tokens
    second = asked(2, text(1, 5), seen, IMG_END, text(2, 5), answer, text(3, 6))
    outcome = rig.said(engine, second)[0]
    assert rig.vision.calls == 1 and outcome.finished is not None
    assert outcome.finished.stats.cached_tokens >= len(first.prompt)
    assert rig.check_greedy(second, outcome.tokens) >= len(outcome.tokens) - 1


def test_preempted_requests_with_pictures_say_what_they_say_alone(tiny_vision: Path, rig: Rig) -> None:
    backend = LlamaBackend.load(ModelSettings(tiny_vision / "model.gguf", context=256, threads=1), SETTINGS)
    vision = LlamaVision(tiny_vision / "mmproj.gguf", backend.model, threads=1, gpu=False)
    compiler = GrammarCompiler.__new__(GrammarCompiler)
    engine = Engine(backend, replace(SETTINGS, drafting=False), compiler, None, vision)
    todo = [replace(asked(i, text(i, 5), picture(i), IMG_END, text(i, 5), most=70), ignore_end=True) for i in range(5)]
    for i in range(5):  # encoded beforehand, so that all begin in one step
        rig.said(engine, asked(10 + i, picture(i), IMG_END, most=1))
    outcomes = rig.said(engine, *todo)
    engine.close()
    assert sum(each.finished.stats.preemptions for each in outcomes if each.finished) > 0
    for request, outcome in zip(todo, outcomes, strict=True):
        assert len(outcome.tokens) == 70
        assert rig.check_greedy(request, outcome.tokens) >= EQUAL * 70


def test_a_saved_prefix_with_a_picture_continues_like_a_computed_one(rig: Rig, tmp_path: Path) -> None:
    request = asked(1, text(1, 40), picture(1, 16, 16), IMG_END, text(2, 9), most=20)
    said = []
    for _ in range(2):
        store = PrefixStore(tmp_path, "tiny", 1 << 30)
        engine = rig.engine(store=store)
        outcome = rig.said(engine, request)[0]
        while engine.idle():
            pass
        store.finish_writing()
        assert outcome.finished is not None
        said.append((outcome.tokens, outcome.finished.stats.restored_tokens, rig.vision.calls))
    assert said == [(said[0][0], 0, 1), (said[0][0], len(request.prompt) - 1, 0)]
    other = asked(1, text(1, 40), picture(2, 16, 16), IMG_END, text(2, 9), most=20)
    fresh = rig.said(rig.engine(store=PrefixStore(tmp_path, "tiny", 1 << 30)), other)[0]
    assert rig.vision.calls == 1 and fresh.tokens != said[0][0]
    assert rig.check_greedy(other, fresh.tokens) >= len(fresh.tokens) - 1


def test_what_is_saved_is_named_by_the_encoder_too(tiny_vision: Path, tmp_path: Path) -> None:
    other = tmp_path / "mmproj.gguf"
    other.write_bytes((tiny_vision / "mmproj.gguf").read_bytes()[:-1] + b"\x01")
    encoders = (None, str(tiny_vision / "mmproj.gguf"), str(other), str(tmp_path / "missing.gguf"))
    keys = {state_key(ModelSettings(tiny_vision / "model.gguf", mmproj=each), 0) for each in encoders}
    assert len(keys) == 4


# ---- in a process of its own


@pytest_asyncio.fixture
async def service(tiny_vision: Path, request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    model = ModelSettings(tiny_vision / "model.gguf", context=1024, threads=1, mmproj=str(tiny_vision / request.param))
    started = await Service.start(WorkerSettings(FACTORY, model, SETTINGS))
    yield started
    await started.aclose()


@pytest.mark.parametrize("service", ["mmproj.gguf"], indirect=True)
async def test_pictures_go_through_the_pipe(service: Service, rig: Rig) -> None:
    todo = [asked(i, text(i, 5), picture(i, 30, 20), IMG_END, text(i, 5)) for i in range(1, 4)] + [asked(4, text(4, 9))]
    answers = await asyncio.gather(*[read(service.submit(request)) for request in todo])
    for request, (tokens, end) in zip(todo, answers, strict=True):
        assert isinstance(end, Finished), end
        assert end.stats.prompt_tokens == len(request.prompt)
        assert rig.check_greedy(request, tokens) >= len(tokens) - 1


@pytest.mark.parametrize("service", ["missing.gguf"], indirect=True)
async def test_a_missing_encoder_fails_pictures_and_nothing_else(service: Service) -> None:
    _, end = await read(service.submit(asked(1, picture(1), IMG_END)))
    assert isinstance(end, Failed) and end.message.startswith("missing.gguf: there is no such file")
    tokens, end = await read(service.submit(asked(2, text(1, 9))))
    assert isinstance(end, Finished) and tokens
