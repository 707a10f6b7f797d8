"""Which encoder a model gets, through fakes and through real GGUFs."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mistral_common.tokens.tokenizers.base import TokenizerVersion

from ggufrun.chat.mistral import MistralEncoder
from ggufrun.chat.prompt import prompt_encoder
from ggufrun.chat.tekken import rebuild_tekkenizer
from ggufrun.chat.types import ChatRequest, Message
from ggufrun.errors import OptionError
from ggufrun.llama.vocabulary import LlamaVocabulary
from tests.chat import samples
from tests.chat.test_mistral import request
from tests.chat.vocab import TekkenVocabulary, rebuilt, reference
from tests.fakes import FakeVocabulary

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
HINDI = ChatRequest(messages=(Message(role="user", content="नमस्ते दुनिया"),))


def test_a_tekken_model_is_encoded_by_mistral_common() -> None:
    encoder = prompt_encoder(TekkenVocabulary("v7", {"tokenizer.chat_template": "[SYSTEM_PROMPT]…[INST]…"}))
    assert (encoder.dialect, encoder.version, encoder.supports_tools) == ("mistral", "v7", True)
    assert encoder.tokenize("नमस्ते दुनिया") == [2485, 3525, 22475, 1803, 115801]


def test_the_card_says_the_version() -> None:
    assert prompt_encoder(TekkenVocabulary("v7"), version="v3").version == "v3"
    with pytest.raises(OptionError, match="not known"):
        prompt_encoder(FakeVocabulary(), version="7")


def test_a_fine_tune_with_another_format_keeps_exact_words() -> None:
    metadata = {"tokenizer.chat_template": CHATML}
    encoder = prompt_encoder(TekkenVocabulary("v3", metadata, appended=("<|im_start|>", "<|im_end|>")))
    assert encoder.dialect == "template"
    tokens = encoder.encode(HINDI).tokens
    assert tokens[:2] == (1, 131_072)
    assert tokens[4:10] == (2485, 3525, 22475, 1803, 115801, 131_073)


def test_a_file_that_only_says_tekken_falls_back_to_its_template() -> None:
    vocabulary = FakeVocabulary(metadata={"tokenizer.ggml.pre": "tekken", "tokenizer.chat_template": CHATML})
    assert prompt_encoder(vocabulary).dialect == "template"


def test_without_a_template_chatml_is_used() -> None:
    vocabulary = FakeVocabulary(specials=("<|im_start|>", "<|im_end|>"))
    prompt = prompt_encoder(vocabulary).encode(ChatRequest(messages=(Message(role="user", content="Hi"),)))
    text = b"".join(map(vocabulary.piece, prompt.tokens)).decode()
    assert text == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_a_real_tekken_gguf(tiny_model: Callable[[str], Path]) -> None:
    vocabulary = LlamaVocabulary.from_path(tiny_model("mistral3-v13"))
    encoder = prompt_encoder(vocabulary)
    assert (encoder.dialect, encoder.version) == ("mistral", "v13")
    tekkenizer = rebuild_tekkenizer(vocabulary, TokenizerVersion.v13)
    published = reference("v13").instruct_tokenizer.tokenizer
    for text in ("नमस्ते दुनिया", "naïve cafés, 東京 🎉\r\n\n  x", "ัًा"):
        assert tekkenizer.encode(text, bos=True, eos=True) == published.encode(text, bos=True, eos=True)
    prompt = encoder.encode(request(**samples.EVERYWHERE["special names"]))
    assert [token for token in prompt.tokens if token < 1000] == [1, 3, 4, 2, 3, 4]


def test_a_real_sentencepiece_mistral_gguf(tiny_model: Callable[[str], Path]) -> None:
    vocabulary = LlamaVocabulary.from_path(tiny_model("spm-mistral-v3"))
    encoder = prompt_encoder(vocabulary)
    assert (encoder.dialect, encoder.supports_tools) == ("template", True)
    prompt = encoder.encode(request([{"role": "user", "content": "Hi </s> there"}]))
    assert [token for token in prompt.tokens if token < 10] == [1, 3, 4]  # <s> [INST] [/INST]
    plain = encoder.encode(request([{"role": "user", "content": "Hi there"}]))
    assert list(plain.tokens) == [1, *vocabulary.tokenize("[INST] Hi there[/INST]", special=True)]


@pytest.mark.model
def test_the_demo_model(demo_path: Path) -> None:
    vocabulary = LlamaVocabulary.from_path(demo_path)
    encoder = prompt_encoder(vocabulary)
    prompt = encoder.encode(ChatRequest(messages=(Message(role="user", content="Hi <b>"),)))
    text = (  # as transformers' apply_chat_template writes it for SmolLM2-135M-Instruct
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nHi <b><|im_end|>\n<|im_start|>assistant\n"
    )
    assert list(prompt.tokens) == vocabulary.tokenize(text, special=True)
    assert b"".join(map(vocabulary.piece, prompt.tokens)).decode() == text
    assert prompt.tokens[0] == 1  # <|im_start|>: this model wants no BOS
    assert not encoder.supports_tools


def test_a_given_template_wins() -> None:
    encoder = prompt_encoder(TekkenVocabulary("v3"), template="{{ messages[0].content }}")
    assert encoder.encode(HINDI).tokens == (1, 2485, 3525, 22475, 1803, 115801)


def test_encoding_takes_a_few_milliseconds() -> None:
    encoder = MistralEncoder(rebuilt("v7"))
    messages = [
        Message(role="user" if turn % 2 == 0 else "assistant", content="Hello there, how are you today? " * 16)
        for turn in range(15)
    ]
    long = ChatRequest(messages=tuple(messages))
    assert 1500 < len(encoder.encode(long).tokens) < 3000
    start = time.thread_time()
    for _ in range(10):
        encoder.encode(long)
    assert (time.thread_time() - start) / 10 < 0.02
