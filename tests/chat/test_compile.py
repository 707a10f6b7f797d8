"""What a request becomes for the engine, and each request that is refused, with the field to blame."""

import math
from typing import Any

import pytest

from ggufrun.chat.compile import Compiler, SamplingDefaults
from ggufrun.chat.style import OutputStyle
from ggufrun.chat.types import ChatOptions, ChatRequest, Function, Message, NamedFunction, NamedTool, Tool
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
    assert compiler(context=16).count(ask("x" * 100)) == 100


@pytest.mark.parametrize(("options", "budget"), [({"max_tokens": 4}, 4), ({}, 3), ({"max_tokens": 9}, 3)])
def test_a_budget_under_the_shortest_answer_is_refused(options: dict[str, int], budget: int) -> None:
    with pytest.raises(BudgetTooSmall) as caught:
        compiler(64, Grammar("g", True, shortest=5)).compile(ask("x" * (60 if budget == 4 else 61), **options))
    assert (caught.value.needed, caught.value.budget) == (5, budget)


def test_the_request_comes_before_the_card_and_the_card_before_the_default() -> None:
    assert compiler().compile(ask()).sampling == SamplingParams(temperature=0.7, top_p=1.0)
    card = SamplingDefaults(0.15, 0.9, 40, 0.05)
    carded = Compiler(VOCABULARY, FakeEncoder(), lambda request, prompt: None, 64, card)
    assert carded.compile(ask()).sampling == SamplingParams(0.15, 0.9, 40, 0.05)
    zero: dict[str, Any] = {"temperature": 0.0, "top_p": 0.5, "top_k": 0, "min_p": 0.0}
    assert carded.compile(ask(**zero)).sampling == SamplingParams(0.0, 0.5, 0, 0.0)


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
