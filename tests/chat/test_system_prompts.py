"""What stands in front of a conversation: the guardrail, the call to think, the user's own settings."""

from typing import Any

import pytest

from ggufrun.chat.compile import Compiler
from ggufrun.chat.encoded import PromptEncoder
from ggufrun.chat.mistral import MistralEncoder
from ggufrun.chat.prompt import capabilities, prompt_encoder
from ggufrun.chat.system_prompts import REASONING, SAFETY, reasoning_prompt
from ggufrun.chat.templated import CHATML, TemplateEncoder
from ggufrun.chat.types import AnswerSettings, Capabilities, ChatRequest, Message, TextChunk, ThinkingChunk
from tests.chat.vocab import TekkenVocabulary, rebuilt
from tests.fakes import FakeVocabulary

CHATML_ONLY = FakeVocabulary(specials=("<|im_start|>", "<|im_end|>"))
USER = Message(role="user", content="Hi")
TOLD = Message(role="system", content="Be brief.")


def chatml(request: ChatRequest, **settings: Any) -> str:
    encoder = TemplateEncoder(CHATML_ONLY, CHATML)
    of = Compiler(CHATML_ONLY, encoder, lambda request, prompt: None, 4096, AnswerSettings(**settings))
    return bytes_of(CHATML_ONLY, of.tokens(request))


def bytes_of(vocabulary: Any, tokens: tuple[int, ...]) -> str:
    return b"".join(map(vocabulary.piece, tokens)).decode()


def mistral(version: str, request: ChatRequest, template: str = "") -> str:
    encoder = MistralEncoder(rebuilt(version), template)
    of = Compiler(FakeVocabulary(), encoder, lambda request, prompt: None, 4096)
    return "".join(map(rebuilt(version).id_to_piece, of.tokens(request)))


def test_the_guardrail_stands_in_front() -> None:
    alone = f"<|im_start|>system\n{SAFETY}<|im_end|>\n<|im_start|>user\n"
    assert chatml(ChatRequest((USER,), safe_prompt=True)).startswith(alone)
    assert SAFETY not in chatml(ChatRequest((USER,)))
    before = f"<|im_start|>system\n{SAFETY}\n\nBe brief.<|im_end|>\n<|im_start|>user\n"
    assert chatml(ChatRequest((TOLD, USER), safe_prompt=True)).startswith(before)
    assert chatml(ChatRequest((USER,), safe_prompt=True), system="Be brief.").startswith(before)
    parts = Message(role="developer", content=(TextChunk(text="Be"), TextChunk(text="brief.")))
    split = f"<|im_start|>system\n{SAFETY}\n\nBe\nbrief.<|im_end|>\n"
    assert chatml(ChatRequest((parts, USER), safe_prompt=True)).startswith(split)


@pytest.mark.parametrize("version", ["v3", "v7", "v13", "v15"])
def test_the_guardrail_for_mistral_models(version: str) -> None:
    asked = ChatRequest((TOLD, USER), safe_prompt=True)
    assert f"{SAFETY}\n\nBe brief." in mistral(version, asked)


def test_the_words_of_the_guardrail() -> None:
    assert SAFETY.startswith("Always assist with care, respect, and truth. Respond with utmost utility yet securely.")
    assert SAFETY.endswith("Ensure replies promote fairness and positivity.")


def test_a_thinking_format_is_told_to_think() -> None:
    asked = ChatRequest((USER,), prompt_mode="reasoning")
    assert mistral("v13", asked) == f"<s>[SYSTEM_PROMPT]{REASONING}[/SYSTEM_PROMPT][INST]Hi[/INST]"
    tokens = MistralEncoder(rebuilt("v13")).encode(
        ChatRequest((Message(role="system", content=MistralEncoder(rebuilt("v13")).reasoning_prompt), USER))
    )
    assert [token for token in tokens.tokens if token in (22, 23)] == [22, 23]  # [THINK] and [/THINK], no text
    guarded = ChatRequest((USER,), prompt_mode="reasoning", safe_prompt=True)
    assert mistral("v13", guarded).startswith(f"<s>[SYSTEM_PROMPT]{SAFETY}\n\n{REASONING}[/SYSTEM_PROMPT]")


def test_who_has_a_system_prompt_keeps_it() -> None:
    asked = ChatRequest((TOLD, USER), prompt_mode="reasoning")
    assert mistral("v13", asked) == mistral("v13", ChatRequest((TOLD, USER)))


@pytest.mark.parametrize("version", ["v3", "v7", "v11", "v15"])
def test_formats_that_cannot_be_told_so_ignore_it(version: str) -> None:
    assert mistral(version, ChatRequest((USER,), prompt_mode="reasoning")) == mistral(version, ChatRequest((USER,)))


def test_a_template_ignores_it() -> None:
    assert chatml(ChatRequest((USER,), prompt_mode="reasoning")) == chatml(ChatRequest((USER,)))


@pytest.mark.parametrize("quote", ["'", '"'])
def test_the_gguf_s_own_prompt_is_taken_from_its_template(quote: str) -> None:
    template = (
        "{%- set other = 1 %}{%- set default_system_message = Q# THINK\\n\\nFirst:[THINK]So.[/THINK]Then.Q %}"
        "{{ bos_token }}[INST]"
    ).replace("Q", quote)
    thought = ThinkingChunk(type="thinking", thinking=(TextChunk(text="So."),))
    assert reasoning_prompt(template) == (TextChunk(text="# THINK\n\nFirst:"), thought, TextChunk(text="Then."))
    asked = ChatRequest((USER,), prompt_mode="reasoning")
    assert "# THINK\n\nFirst:[THINK]So.[/THINK]Then.[/SYSTEM_PROMPT]" in mistral("v13", asked, template)


def test_the_gguf_s_template_reaches_its_encoder() -> None:
    template = "{% set default_system_message = 'My[THINK]own[/THINK]way' %}[INST]"
    encoder = prompt_encoder(TekkenVocabulary("v13", {"tokenizer.chat_template": template}))
    assert encoder.reasoning_prompt == reasoning_prompt(template) != reasoning_prompt("")


@pytest.mark.parametrize(
    "template",
    [
        "",
        "{% set default_system_message = 'Be brief.' %}",
        "{% set default_system_message = x %}",
        "{% set default_system_message = '[THINK]",
        "{% set default_system_message = '[THINK]a[/THINK]' %}" + " " * (1 << 19),
        "{{ default_system_message }}" + "(" * 3000,
    ],
)
def test_other_templates_leave_magistrals(template: str) -> None:
    assert reasoning_prompt(template) == reasoning_prompt("")


@pytest.mark.parametrize(
    ("encoder", "thinks", "fills"),
    [
        (MistralEncoder(rebuilt("v7")), False, True),
        (MistralEncoder(rebuilt("v13")), True, True),
        (MistralEncoder(rebuilt("v15")), True, True),
        (TemplateEncoder(CHATML_ONLY, CHATML), False, False),
        (TemplateEncoder(CHATML_ONLY, CHATML + "{% if enable_thinking %}<think>{% endif %}"), True, False),
    ],
)
def test_capabilities(encoder: PromptEncoder, thinks: bool, fills: bool) -> None:
    assert capabilities(encoder) == Capabilities(reasoning=thinks, fim=fills)
