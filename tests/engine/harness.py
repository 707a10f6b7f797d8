"""Drives an engine over a fake backend and collects what each request got."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ggufrun.engine.backend import PictureEncoder
from ggufrun.engine.engine import Engine
from ggufrun.engine.grammar import GrammarCompiler
from ggufrun.engine.prefix_store import PrefixStore
from ggufrun.engine.types import EngineEvent, Failed, Finished, GenerationRequest, PromptProgress, Tokens
from ggufrun.settings import EngineSettings
from tests.fake_backend import END, PICTURE, FakeBackend, next_token, rows_of


@dataclass
class Outcome:
    tokens: list[int] = field(default_factory=list)
    finished: Finished | None = None
    failed: Failed | None = None
    ends: int = 0
    progress: list[PromptProgress] = field(default_factory=list)


class Clock:
    """A clock that the test moves: a decode costs a fixed time and a little per row."""

    def __init__(self, backend: FakeBackend) -> None:
        self._backend, self.extra = backend, 0.0

    def __call__(self) -> float:
        return 0.01 * self._backend.steps + 0.0005 * sum(len(r.tokens) for b in self._backend.batches for r in b)


def make_engine(
    backend: FakeBackend,
    settings: EngineSettings,
    grammars: GrammarCompiler | None = None,
    store: PrefixStore | None = None,
    encoder: PictureEncoder | None = None,
    computing: Callable[[int, bool], None] | None = None,
) -> Engine:
    compiler = grammars or GrammarCompiler.__new__(GrammarCompiler)  # no request of these tests has a grammar
    return Engine(backend, settings, compiler, store, encoder, clock=Clock(backend), computing=computing)


def record(outcomes: dict[int, Outcome], events: Sequence[EngineEvent]) -> None:
    for event in events:
        outcome = outcomes.setdefault(event.id, Outcome())
        assert outcome.ends == 0, "an event after the end"
        if isinstance(event, Tokens):
            outcome.tokens += event.tokens
        elif isinstance(event, PromptProgress):
            outcome.progress.append(event)
        elif isinstance(event, Finished):
            outcome.finished, outcome.ends = event, outcome.ends + 1
        elif isinstance(event, Failed):
            outcome.failed, outcome.ends = event, outcome.ends + 1


def run(engine: Engine, most: int = 20_000, each: Callable[[], None] = lambda: None) -> dict[int, Outcome]:
    outcomes: dict[int, Outcome] = {}
    for _ in range(most):
        if not engine.busy:
            return outcomes
        record(outcomes, engine.step())
        each()
    raise AssertionError("the engine does not come to rest")


def alone(request: GenerationRequest, context: int) -> list[int]:
    """What the fake model answers when nothing else happens."""
    tokens = list(request.prompt)
    for image in request.images:
        tokens[image.start : image.end] = [PICTURE + row for row in rows_of(image.pixels)]
    most = request.max_tokens if request.max_tokens is not None else context
    while len(tokens) < context and len(tokens) - len(request.prompt) < most:
        token = next_token(tokens)
        if token == END:
            break
        tokens.append(token)
    return tokens[len(request.prompt) :]
