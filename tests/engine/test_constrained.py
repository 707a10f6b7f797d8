"""Grammars in company: forced tokens beside drafts, cached prompts and logprobs, and compiling beside the steps."""

import json
import random
import threading
from dataclasses import replace
from typing import Any

import pytest
from llguidance import JsonCompiler

from ggufrun.engine import grammar as grammar_module
from ggufrun.engine.closing import find_closing
from ggufrun.engine.engine import Engine
from ggufrun.engine.grammar import Constraint, GrammarCompiler
from ggufrun.engine.types import Finished, FinishReason, GenerationRequest, Grammar, SamplingParams, Tokens
from ggufrun.settings import EngineSettings
from tests.engine.harness import Outcome, make_engine, record, run
from tests.fake_backend import FakeBackend
from tests.fakes import FakeVocabulary

WORDS = FakeVocabulary(("<s>", "</s>"))
SETTINGS = EngineSettings(parallel=4, batch=64, cached_sequences=5)
ALONE = replace(SETTINGS, drafting=False, share_prefixes=False)
SCHEMA = {
    "type": "object",
    "properties": {
        "first_number": {"type": "integer"},
        "a_longer_key_that_is_forced": {"type": "array", "items": {"enum": [100, 1000, 12345]}, "maxItems": 6},
        "text": {"type": "string", "maxLength": 12},
    },
    "required": ["first_number", "a_longer_key_that_is_forced", "text"],
    "additionalProperties": False,
}


def grammar(schema: object = SCHEMA) -> Grammar:
    source = JsonCompiler(separators=(", ", ": "), whitespace_flexible=False).compile(json.dumps(schema))
    return Grammar(source, closable=True)


def backend(context: int = 1000) -> FakeBackend:
    assert WORDS.eos is not None
    return FakeBackend(context=context, vocabulary=len(WORDS), end=WORDS.eos)


def engine(
    settings: EngineSettings, compiler: GrammarCompiler | None = None, over: FakeBackend | None = None
) -> Engine:
    return make_engine(over or backend(), settings, compiler or GrammarCompiler(WORDS))


def prompt(rng: random.Random) -> tuple[int, ...]:
    """JSON like the answer's: there is something to copy."""
    said = [
        {
            "first_number": rng.randrange(100),
            "a_longer_key_that_is_forced": [rng.choice([100, 1000, 12345])] * 3,
            "text": rng.choice(["  ", "0101", "!!"]),
        }
        for _ in range(3)
    ]
    return tuple(json.dumps(said).encode())


def answer(over: Engine, request: GenerationRequest) -> tuple[list[int], list[Tokens], Finished]:
    events: list[Tokens] = []
    over.submit(request)
    while over.busy:
        for event in over.step():
            assert not isinstance(event, Finished) or not over.busy
            if isinstance(event, Tokens):
                events.append(event)
            elif isinstance(event, Finished):
                return [token for each in events for token in each.tokens], events, event
    raise AssertionError("the answer did not end")


@pytest.mark.parametrize("seed", range(12))
def test_drafts_and_the_cache_change_nothing_under_a_grammar(seed: int) -> None:
    rng = random.Random(seed)
    request = GenerationRequest(1, prompt(rng), max_tokens=rng.choice([90, 200]), grammar=grammar())
    alone, _, _ = answer(engine(ALONE), request)
    warm = engine(SETTINGS)
    for cached in (False, True):  # the second time, the prompt is there already
        said, _, finished = answer(warm, request)
        assert bytes(said) == bytes(alone)
        assert (finished.stats.cached_tokens > 0) == cached
        assert finished.stats.forced_tokens > 0
    json.loads(bytes(said))


def test_drafts_are_accepted_beside_forced_tokens() -> None:
    accepted = 0
    for seed in range(12):
        request = GenerationRequest(1, prompt(random.Random(seed)), max_tokens=200, grammar=grammar())
        accepted += answer(engine(SETTINGS), request)[2].stats.accepted_tokens
    assert accepted > 0


@pytest.mark.parametrize("seed", range(6))
def test_logprobs_of_forced_tokens_are_of_their_own_rows_when_the_prompt_is_cached(seed: int) -> None:
    request = GenerationRequest(
        1, prompt(random.Random(seed)), SamplingParams(logprobs=1), max_tokens=200, grammar=grammar()
    )
    expected, events, _ = answer(engine(ALONE), request)
    plain = [(entry.token, round(entry.logprob, 4), entry.forced) for event in events for entry in event.logprobs]
    assert [token for token, _, _ in plain] == expected
    warm = engine(SETTINGS)
    for _ in range(2):
        _, events, _ = answer(warm, request)
        said = [(entry.token, round(entry.logprob, 4), entry.forced) for event in events for entry in event.logprobs]
        assert said == plain


@pytest.mark.parametrize("batch", [1, 3, 16, 31])
def test_a_batch_smaller_than_a_debt_of_forced_tokens_goes_on(batch: int) -> None:
    request = GenerationRequest(1, prompt(random.Random(1)), max_tokens=150, grammar=grammar())
    alone, _, _ = answer(engine(ALONE), request)
    assert answer(engine(replace(SETTINGS, batch=batch)), request)[0] == alone


class SlowCompiler(GrammarCompiler):
    """The real compiler, which waits for a sign before it compiles."""

    def __init__(self) -> None:
        super().__init__(WORDS)
        self.go, self.began, self.threads = threading.Event(), threading.Event(), set[int]()

    def start(self, grammar: Grammar, budget: int = 1 << 62) -> Constraint:
        self.threads.add(threading.get_ident())
        self.began.set()
        assert self.go.wait(20)
        return super().start(grammar, budget)


def test_running_streams_go_on_while_a_grammar_is_compiled() -> None:
    compiler = SlowCompiler()
    over = engine(SETTINGS, compiler)
    over.submit(GenerationRequest(1, (5, 6, 7), max_tokens=200, ignore_end=True))
    over.submit(GenerationRequest(2, (5, 6, 8), max_tokens=30, grammar=grammar()))
    assert compiler.began.wait(20)
    outcomes: dict[int, Outcome] = {}
    for _ in range(40):
        record(outcomes, over.step())
    assert len(outcomes[1].tokens) >= 39 and 2 not in outcomes
    compiler.go.set()
    for number, outcome in run(over).items():
        assert outcome.finished is not None and number in (1, 2)
    assert compiler.threads and threading.get_ident() not in compiler.threads
    over.close()


def test_a_way_out_for_a_small_budget_is_looked_for_beside_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one found takes 25 tokens, another takes 4: looking for that may take 80 ms, once."""
    searches: list[tuple[int, int]] = []  # thread, most grammar steps

    def spy(*args: Any, **limits: Any) -> tuple[int, ...] | None:
        searches.append((threading.get_ident(), limits.get("work", 8000)))
        return find_closing(*args, **limits)

    monkeypatch.setattr(grammar_module, "find_closing", spy)
    over, choice = engine(SETTINGS), grammar({"enum": ["a long and winding road", "zz", "another long one"]})
    for number, budget in enumerate((1000, 10, 10, 9, 2, 2)):
        over.submit(GenerationRequest(number, (5, 6, 7), max_tokens=budget, grammar=choice))
        said = run(over)[number]
        assert len(said.tokens) <= budget
        assert budget < 4 or json.loads(bytes(said.tokens)) in ("a long and winding road", "zz", "another long one")
    beside = [work for thread, work in searches if thread != threading.get_ident()]
    assert len(beside) == 3  # at first, for 10, and for 2 in vain: what was found then is known
    assert all(work <= 1500 for thread, work in searches if thread == threading.get_ident())
    over.close()


def test_a_request_that_waits_for_its_grammar_can_be_cancelled_and_all_can_fail() -> None:
    compiler = SlowCompiler()
    over = engine(SETTINGS, compiler)
    for number in (1, 2):
        over.submit(GenerationRequest(number, (5, 6, 7), grammar=grammar()))
    over.cancel(1)
    outcomes: dict[int, Outcome] = {}
    record(outcomes, over.step())
    assert outcomes[1].finished is not None and outcomes[1].finished.reason is FinishReason.CANCELLED
    record(outcomes, over.fail_all("it failed"))
    assert outcomes[2].failed is not None and not over.busy
    compiler.go.set()
    over.close()


def test_a_grammar_that_does_not_compile_fails_its_request_only() -> None:
    over = engine(SETTINGS)
    over.submit(GenerationRequest(1, (5, 6, 7), max_tokens=5, ignore_end=True))
    over.submit(GenerationRequest(2, (5, 6, 7), grammar=Grammar('{"grammars": [{"lark_grammar": "start: nothing"}]}')))
    outcomes = run(over)
    assert len(outcomes[1].tokens) == 5 and outcomes[2].failed is not None
