"""Pictures for the engine's tests over its fake backend: a row a pixel, prompts with some, an engine that sees"""

import hashlib
import random
from collections.abc import Sequence as ReadOnly
from dataclasses import replace

from ggufrun.engine.prefix_store import PrefixStore
from ggufrun.engine.sequence import Sequence
from ggufrun.engine.types import GenerationRequest, Image, Stats
from ggufrun.settings import EngineSettings
from tests.engine.harness import Outcome, alone, make_engine, record
from tests.fake_backend import FakeBackend, FakeEncoder

CONTEXT = 2000
SMALL = EngineSettings(parallel=6, batch=64, cached_sequences=5)
IMG = 10  # stands in prompts where mistral-common would write [IMG]


def picture(seed: int, width: int = 6, height: int = 5) -> Image:
    """A picture at no place yet."""
    pixels = random.Random(seed).randbytes(3 * width * height)
    key = hashlib.sha256(f"{width}x{height}".encode() + pixels).hexdigest()
    return Image(0, width * height, width, height, pixels, key)


def asked(id: int, *parts: Image | ReadOnly[int], most: int | None = 10) -> GenerationRequest:
    """A request of texts and pictures in this order; something always follows a picture."""
    prompt: list[int] = []
    images: list[Image] = []
    for part in parts:
        if isinstance(part, Image):
            images.append(Image(len(prompt), part.length, part.width, part.height, part.pixels, part.key))
            prompt += [IMG] * part.length
        else:
            prompt += part
    return GenerationRequest(id, tuple(prompt), max_tokens=most, images=tuple(images))


def text(seed: int, count: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(1, 64) for _ in range(count)]


class Bench:
    """An engine with an encoder that the test holds."""

    def __init__(self, backend: FakeBackend | None = None, store: PrefixStore | None = None, **engine: object) -> None:
        self.backend, self.encoder = backend or FakeBackend(context=CONTEXT), FakeEncoder()
        settings = replace(SMALL, **engine)  # type: ignore[arg-type]  # names of settings, by the tests
        self.engine = make_engine(self.backend, settings, store=store, encoder=self.encoder)
        self.outcomes: dict[int, Outcome] = {}

    @property
    def running(self) -> list[Sequence]:
        return self.engine._scheduler.running

    def ask(self, *requests: GenerationRequest) -> None:
        for request in requests:
            self.engine.submit(request)

    def step(self, count: int = 1) -> None:
        for _ in range(count):
            record(self.outcomes, self.engine.step())

    def finish(self) -> None:
        for _ in range(5000):
            if not self.engine.busy:
                return
            self.step()
        raise AssertionError("the engine does not come to rest")

    def said(self, request: GenerationRequest) -> list[int]:
        self.ask(request)
        self.finish()
        self.check(request)
        return self.outcomes[request.id].tokens

    def check(self, *requests: GenerationRequest) -> None:
        for request in requests:
            outcome = self.outcomes[request.id]
            assert (outcome.ends, outcome.failed) == (1, None)
            assert outcome.tokens == alone(request, self.backend.limits.context)

    def stats(self, request: GenerationRequest) -> Stats:
        finished = self.outcomes[request.id].finished
        assert finished is not None
        return finished.stats

    def failure(self, id: int) -> str:
        failed = self.outcomes[id].failed
        assert failed is not None
        return failed.message
