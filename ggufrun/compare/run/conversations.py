"""Chat mode's sequences: prompts as the product itself writes them, and what the reference answered behind them"""

from collections.abc import Sequence
from typing import Any

from ggufrun.chat.prompt import PromptEncoder, prompt_encoder
from ggufrun.chat.types import ChatRequest, Message
from ggufrun.compare.run.chunks import Chunks
from ggufrun.compare.scoring.files import Written
from ggufrun.compare.texts.source import Prompt
from ggufrun.errors import RequestError
from ggufrun.llama.vocabulary import LlamaVocabulary
from ggufrun.weights.cards import Card


def encoder_of(vocabulary: LlamaVocabulary, card: Card | None) -> PromptEncoder:
    """As a load of the model has it."""
    version, efforts = (card.tokenizer, card.efforts) if card else (None, ())
    return prompt_encoder(vocabulary, version=version, efforts=efforts)


def encoded(
    prompts: Sequence[Prompt], encoder: PromptEncoder, most: int, longest: int
) -> tuple[list[Prompt], list[tuple[int, ...]]]:
    """The first so many that the model's format can write and that are no longer than so many tokens."""
    taken: list[Prompt] = []
    tokens: list[tuple[int, ...]] = []
    for prompt in prompts:
        if len(taken) == most:
            break
        messages: list[Any] = [Message(role=role, content=text) for role, text in prompt.messages]  # type: ignore[arg-type]  # a source has only these roles
        try:
            written = encoder.encode(ChatRequest(messages=tuple(messages))).tokens
        except RequestError:
            continue
        if len(written) <= longest:
            taken.append(prompt)
            tokens.append(tuple(written))
    return taken, tokens


def followed(prompts: Sequence[Prompt], tokens: Sequence[Sequence[int]], written: Written) -> Chunks:
    """Each prompt with the answer to it, of which every token is scored, and its end. Without an answer: left out."""
    names = tuple(dict.fromkeys(prompt.kind for prompt in prompts))
    answers = [
        [*answer, *([end] if end >= 0 else [])]
        for answer, end in zip(written.answers(), written.end.tolist(), strict=True)
    ]
    answered = [at for at, answer in enumerate(answers) if answer]
    return Chunks(
        tokens=tuple((*tokens[at], *answers[at]) for at in answered),
        firsts=tuple(len(tokens[at]) - 1 for at in answered),
        parts=tuple(names.index(prompts[at].kind) for at in answered),
        names=names,
    )
