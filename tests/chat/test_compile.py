"""What a request becomes for the engine, and each request that is refused, with the field to blame."""

import math
from dataclasses import dataclass, field
from typing import Any

import pytest

from ggufrun.chat.compile import Compiler
from ggufrun.chat.encoded import EncodedPrompt
from ggufrun.chat.style import OutputStyle
from ggufrun.chat.types import (
    AnswerSettings,
    ChatOptions,
    ChatRequest,
    Function,
    Message,
    NamedFunction,
    NamedTool,
    Tool,
)
from ggufrun.engine.types import Grammar, SamplingParams
from ggufrun.errors import BudgetTooSmall, EmptyPrompt, PromptTooLong, RequestError
from tests.chat.local_model import FakeEncoder
from tests.fakes import FakeVocabulary

VOCABULARY = FakeVocabulary()
TOOL = Tool(function=Function(name="f"))
HELLO = (Message(role="user", content="hello"),)


def ask(content: str = "hello", **options: Any) -> ChatRequest:
    return ChatRequest((Message(role="user", content=content),), ChatOptions(**options))


def compiler(context: int = 64, grammar: Grammar | None = None, **encoder: Any) -> Compiler:
    return Compiler(VOCABULARY, FakeEncoder(**encoder), lambda request, prompt: grammar, context)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("temperature", value) for value in (-0.1, 2.01, math.nan, math.inf)),
        *(("top_p", value) for value in (0, -1, 1.01, math.nan)),
        *(("top_k", -1), ("min_p", -0.1), ("min_p", 1.1), ("n", 0), ("n", 17)),
        *(("presence_penalty", 2.1), ("frequency_penalty", -2.1), ("repetition_penalty", 0), ("logprobs", 21)),
        *(("max_tokens", 0), ("max_tokens", -1), ("min_tokens", -1), ("logprobs", -1)),
        *(("stop", ("a", "")), ("stop", ("a",) * 65)),
        *(("logit_bias", ((len(VOCABULARY), 1.0),)), ("logit_bias", ((-1, 1.0),)), ("logit_bias", ((1, 101.0),))),
        *(("logit_bias", ((1, math.nan),)), ("logit_bias", ((1, 1.0),) * 1025)),
    ],
)
def test_options_out_of_range_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(RequestError) as caught:
        compiler().compile(ask(**{name: value}))
    assert caught.value.param == name
    assert caught.value.hint


def test_the_edges_of_the_ranges_are_allowed() -> None:
    edges: tuple[dict[str, Any], ...] = (
        {"temperature": 0, "top_p": 1, "min_p": 0, "n": 1, "presence_penalty": -2, "max_tokens": 1, "logprobs": 0},
        {"temperature": 2, "top_p": 0.01, "min_p": 1, "n": 16, "frequency_penalty": 2, "min_tokens": 9, "logprobs": 20},
    )
    for options in edges:
        compiler().compile(ask(**options))


def test_more_tokens_wanted_than_allowed() -> None:
    with pytest.raises(RequestError, match="min_tokens is 9 and max_tokens 8"):
        compiler().compile(ask(min_tokens=9, max_tokens=8))


@pytest.mark.parametrize("choice", ["any", "required", NamedTool(function=NamedFunction(name="f"))])
def test_a_forced_call_needs_tools(choice: Any) -> None:
    with pytest.raises(RequestError) as caught:
        compiler().compile(ChatRequest(HELLO, tool_choice=choice))
    assert caught.value.param == "tool_choice"


def test_a_named_call_needs_that_tool() -> None:
    named = NamedTool(function=NamedFunction(name="g"))
    with pytest.raises(RequestError, match=r"'g'.* Use one of f"):
        compiler().compile(ChatRequest(HELLO, tools=(TOOL,), tool_choice=named))


def test_a_prompt_must_leave_room_for_one_token() -> None:
    assert len(compiler(context=64).compile(ask("x" * 63)).prompt) == 63
    with pytest.raises(PromptTooLong) as caught:
        compiler(context=64).compile(ask("x" * 64))
    assert (caught.value.prompt_tokens, caught.value.context) == (64, 64)


def test_more_tokens_than_the_context_holds_are_no_error() -> None:
    assert compiler().compile(ask(max_tokens=10**6)).max_tokens == 10**6


def test_no_tokens_at_all() -> None:
    with pytest.raises(EmptyPrompt):
        compiler().compile(ask(""))


def test_counting_needs_no_room() -> None:
    assert compiler(context=16).tokens(ask("x" * 100)) == tuple(b"x" * 100)


@pytest.mark.parametrize(("options", "budget"), [({"max_tokens": 4}, 4), ({}, 3), ({"max_tokens": 9}, 3)])
def test_a_budget_under_the_shortest_answer_is_refused(options: dict[str, int], budget: int) -> None:
    with pytest.raises(BudgetTooSmall) as caught:
        compiler(64, Grammar("g", True, shortest=5)).compile(ask("x" * (60 if budget == 4 else 61), **options))
    assert (caught.value.needed, caught.value.budget) == (5, budget)


@dataclass
class Recording(FakeEncoder):
    """Encodes all messages, and keeps what it was asked."""

    requests: list[ChatRequest] = field(default_factory=list)

    def encode(self, request: ChatRequest) -> EncodedPrompt:
        self.requests.append(request)
        said = "\n".join(f"{message.role[0]}:{message.content}" for message in request.messages)
        return EncodedPrompt(tuple(said.encode()), self.style, self.dialect)


def settled(**settings: Any) -> tuple[Compiler, list[ChatRequest]]:
    """A compiler with these settings, and the requests that its encoder and its grammars see."""
    encoder = Recording()

    def grammar(request: ChatRequest, prompt: EncodedPrompt) -> None:
        encoder.requests.append(request)

    return Compiler(VOCABULARY, encoder, grammar, 64, AnswerSettings(**settings)), encoder.requests


SET: dict[str, Any] = {
    "temperature": 0.15, "top_p": 0.9, "top_k": 40, "min_p": 0.05, "presence_penalty": 1.0, "frequency_penalty": -1.0,
    "repetition_penalty": 1.1, "seed": 7, "max_tokens": 9, "min_tokens": 2, "stop": ("END",),
    "reasoning_effort": "high",
}  # fmt: skip


def test_what_a_request_leaves_open_comes_from_the_settings() -> None:
    assert compiler().compile(ask()).sampling == SamplingParams(temperature=0.7)
    of, seen = settled(**SET)
    compiled = of.compile(ask())
    assert compiled.sampling == SamplingParams(0.15, 0.9, 40, 0.05, 1.0, -1.0, 1.1, 7)
    assert (compiled.max_tokens, compiled.min_tokens, compiled.stops) == (9, 2, ("END",))
    assert [(r.options.reasoning_effort, r.options.max_tokens) for r in seen] == [("high", 9)] * 2


def test_what_a_request_says_wins_with_a_zero_and_with_nothing_too() -> None:
    of, seen = settled(**SET)
    zero: dict[str, Any] = {"temperature": 0.0, "top_p": 0.5, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}
    more: dict[str, Any] = {"presence_penalty": 0.0, "frequency_penalty": 0.0, "seed": 0, "stop": ()}
    compiled = of.compile(ask(**zero, **more, max_tokens=3, min_tokens=0, reasoning_effort="none"))
    assert compiled.sampling == SamplingParams(0.0, 0.5, 0, 0.0, seed=0)
    assert (compiled.max_tokens, compiled.min_tokens, compiled.stops) == (3, 0, ())
    assert [request.options.reasoning_effort for request in seen] == ["none"] * 2


def test_fewer_tokens_allowed_than_the_settings_want() -> None:
    compiled = settled(min_tokens=9)[0].compile(ask(max_tokens=3))
    assert (compiled.max_tokens, compiled.min_tokens) == (3, 3)


TOLD = tuple(Message(role=role, content="own") for role in ("system", "developer"))


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (ask(), "s:be brief\nu:hello"),
        (ChatRequest((TOLD[0], *HELLO)), "s:own\nu:hello"),
        (ChatRequest((*HELLO, TOLD[1])), "u:hello\nd:own"),
        (ChatRequest((Message(role="system", content=""), *HELLO)), "s:\nu:hello"),
        (ChatRequest(HELLO, default_system=False), "u:hello"),
        (ChatRequest((*HELLO, Message(role="assistant", content="x"))), "s:be brief\nu:hello\na:x"),
    ],
)
def test_the_system_prompt_of_the_settings(request_: ChatRequest, said: str) -> None:
    of, _ = settled(system="be brief")
    assert bytes(of.compile(request_).prompt).decode() == said
    assert of.tokens(request_) == tuple(said.encode())


def test_a_system_prompt_is_no_question() -> None:
    with pytest.raises(EmptyPrompt):
        settled(system="be brief")[0].compile(ChatRequest(()))


def test_each_choice_has_its_own_seed() -> None:
    compiled = compiler().compile(ask(seed=2**32 - 3, n=3))
    requests = [compiled.generation(10 + choice, choice) for choice in range(3)]
    assert [request.sampling.seed for request in requests] == [2**32 - 3, 2**32 - 2, 0]
    assert [request.id for request in requests] == [10, 11, 12]
    assert compiler().compile(ask(n=2)).generation(1, 1).sampling.seed is None
    assert compiler().compile(ask(seed=2**70)).sampling.seed == 2**70 % (2**32 - 1)


def test_everything_of_the_request_reaches_the_engine() -> None:
    grammar = Grammar("start: /a/")
    options: dict[str, Any] = {"presence_penalty": 1.0, "frequency_penalty": -1.0, "repetition_penalty": 1.1}
    more: dict[str, Any] = {"logit_bias": ((1, -5.0),), "logprobs": 3, "seed": 7, "stop": ("a",)}
    compiled = compiler(grammar=grammar).compile(ask(**options, **more, max_tokens=9, min_tokens=2))
    request = compiled.generation(1, 0)
    assert request.sampling == SamplingParams(0.7, 1.0, 0, 0.0, 1.0, -1.0, 1.1, 7, ((1, -5.0),), 3)
    assert (request.max_tokens, request.min_tokens, request.grammar) == (9, 2, grammar)
    assert compiled.stops == ("a",)


def test_calls_are_looked_for_only_where_there_are_tools() -> None:
    style = OutputStyle(tool_calls="mistral", special=VOCABULARY.special)
    of = compiler(style=style)
    assert of.compile(ChatRequest(HELLO)).style.tool_calls == "none"
    assert of.compile(ChatRequest(HELLO, tools=(TOOL,), tool_choice="none")).style.tool_calls == "none"
    assert of.compile(ChatRequest(HELLO, tools=(TOOL,))).style == style
    assert not of.compile(ChatRequest(HELLO, tools=(TOOL,))).single_call
    assert of.compile(ChatRequest(HELLO, tools=(TOOL,), parallel_tool_calls=False)).single_call


def test_a_sentencepiece_vocabularys_first_space_is_no_text() -> None:
    vocabulary = FakeVocabulary(metadata={"tokenizer.ggml.model": "llama"})

    def skipped(grammar: Grammar | None, **encoder: Any) -> int:
        of = Compiler(vocabulary, FakeEncoder(**encoder), lambda request, prompt: grammar, 64)
        return of.compile(ask()).skip_spaces

    assert skipped(None) == 1
    assert skipped(Grammar("g")) == 0
    assert skipped(None, prefix="So ", prefix_spaces=1) == 1
    assert skipped(None, prefix="So") == 0
