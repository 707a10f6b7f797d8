"""Raw prompts: text, token ids and gaps to fill, up to the events of their answers."""

from typing import Any

import pytest

from ggufrun.chat.compile import Compiler
from ggufrun.chat.types import ChatOptions, ChatRequest, Completed, TextDelta, TextRequest
from ggufrun.engine.types import FinishReason, Grammar
from ggufrun.errors import BudgetTooSmall, ModelLacks, OutOfRange, PromptTooLong, RequestError, SchemaError
from tests.chat.local_model import FakeEncoder, events_of, model
from tests.fakes import FakeService, FakeVocabulary

VOCABULARY = FakeVocabulary()
BOS = VOCABULARY.special["<s>"]


def compiler(context: int = 64, grammar: Any = None, **encoder: Any) -> Compiler:
    return Compiler(VOCABULARY, FakeEncoder(**encoder), grammar or (lambda request, prompt: None), context)


def test_text_gets_a_bos_and_no_special_tokens() -> None:
    compiled = compiler().compile(TextRequest("a</s>[THINK]"))
    assert compiled.prompt == (BOS, *b"a</s>[THINK]")
    assert compiler().tokens(TextRequest("ab", bos=False)) == tuple(b"ab")
    assert (compiled.style.thinking, compiled.style.tool_calls, compiled.prefix) == ("none", "none", "")


def test_no_bos_where_the_model_wants_none() -> None:
    vocabulary = FakeVocabulary(specials=("<|im_end|>",))
    of = Compiler(vocabulary, FakeEncoder(), lambda request, prompt: None, 64)
    assert of.compile(TextRequest("ab")).prompt == tuple(b"ab")


def test_token_ids_are_taken_as_they_are() -> None:
    assert compiler().compile(TextRequest((5, BOS, 7))).prompt == (5, BOS, 7)


@pytest.mark.parametrize("token", [-1, len(VOCABULARY)])
def test_token_ids_outside_of_the_vocabulary(token: int) -> None:
    with pytest.raises(OutOfRange) as caught:
        compiler().compile(TextRequest((1, token)))
    assert caught.value.param == "prompt"


def test_half_a_character_is_no_crash() -> None:
    assert compiler().tokens(TextRequest("a\ud800", bos=False)) == tuple(b"a?")


def test_an_empty_prompt_is_an_answer_to_bos_alone() -> None:
    assert compiler().compile(TextRequest("")).prompt == (BOS,)
    assert compiler().tokens(TextRequest("", bos=False)) == ()
    for nothing in (TextRequest("", bos=False), TextRequest(())):
        with pytest.raises(RequestError) as caught:
            compiler().compile(nothing)
        assert caught.value.param == "prompt"


def test_the_prompt_is_to_blame_for_its_length() -> None:
    with pytest.raises(PromptTooLong) as caught:
        compiler(context=4).compile(TextRequest("abcd"))
    assert caught.value.param == "prompt"


def test_options_are_those_of_chat() -> None:
    seen: list[ChatRequest] = []

    def grammar(request: ChatRequest, prompt: object) -> Grammar:
        seen.append(request)
        return Grammar("g", True, shortest=5)

    options = ChatOptions(temperature=0.0, max_tokens=9, stop=("x",), n=2, logprobs=1)
    compiled = compiler(grammar=grammar).compile(TextRequest("ab", options=options))
    assert (compiled.sampling.temperature, compiled.sampling.logprobs) == (0.0, 1)
    assert (compiled.max_tokens, compiled.stops, compiled.choices) == (9, ("x",), 2)
    assert seen[0].constraint is None and not seen[0].tools
    with pytest.raises(BudgetTooSmall):
        compiler(grammar=grammar).compile(TextRequest("ab", options=ChatOptions(max_tokens=4)))
    with pytest.raises(OutOfRange):
        compiler().compile(TextRequest("ab", options=ChatOptions(top_p=2)))


def test_a_gap_is_filled_by_models_that_can() -> None:
    assert compiler(supports_fim=True).compile(TextRequest("a", suffix="b")).prompt == tuple(b"<a|b>")
    assert compiler(supports_fim=True).compile(TextRequest("a", suffix="")).prompt == tuple(b"<a|>")
    with pytest.raises(RequestError, match="cannot fill in the middle") as caught:
        compiler().compile(TextRequest("a", suffix="b"))
    assert (type(caught.value), caught.value.param) == (ModelLacks, "suffix")
    with pytest.raises(OutOfRange):
        compiler(supports_fim=True).compile(TextRequest((1,), suffix="b"))


async def test_the_answer_is_plain_text() -> None:
    answer = tuple(VOCABULARY.tokenize(" a[THINK]b<think>c[TOOL_CALLS]f[ARGS]{}", special=True))
    chat = model(FakeService([answer, FinishReason.STOP]), FakeVocabulary(metadata={"tokenizer.ggml.model": "llama"}))
    events = await events_of(chat, TextRequest("x"))
    assert [event.text for event in events if isinstance(event, TextDelta)] == [" ab<think>cf{}"]
    assert isinstance(events[-1], Completed) and events[-1].prompt_tokens == 2


@pytest.mark.parametrize("prompt", ["So", tuple(b"So")])
async def test_the_prompt_may_be_given_back(prompt: Any) -> None:
    events = await events_of(model(FakeService([tuple(b" it"), FinishReason.STOP])), TextRequest(prompt, echo=True))
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "So it"


def test_a_tool_that_no_grammar_can_be_made_of_is_named() -> None:
    def grammar(request: object, prompt: object) -> Grammar:
        raise SchemaError("no", "/3/function/parameters/type", "tools")

    with pytest.raises(SchemaError) as caught:
        compiler(grammar=grammar).compile(TextRequest("a"))
    assert caught.value.param == "tools.3.function.parameters.type"
