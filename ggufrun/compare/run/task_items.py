"""What the tasks ask, made once for all rows: with the reference's tokens, so that every row is asked the same"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from ggufrun.chat.encoded import PromptEncoder
from ggufrun.chat.types import ChatRequest, Message
from ggufrun.compare.run.plan import Plan
from ggufrun.compare.tasks import bfcl, choices, needle
from ggufrun.compare.tasks.multiple_choice import Items
from ggufrun.errors import GgufrunError
from ggufrun.llama.vocabulary import LlamaVocabulary

_T = TypeVar("_T")

TASKS: Final = ("tools", "choices", "needle")


@dataclass(frozen=True, slots=True)
class TaskItems:
    """() where a task is not wanted. `notes`: sentences, on tasks that could not be prepared."""

    choices: Items
    needles: tuple[needle.Item, ...]
    tools: tuple[bfcl.Item, ...]
    notes: tuple[str, ...]


def task_items(plan: Plan, vocabulary: LlamaVocabulary, encoder: PromptEncoder) -> TaskItems:
    """The plan's tasks. What cannot be had (no network, a text too short) is a note."""
    texts, notes = [part.text for part in plan.source.parts], list[str]()

    def made(task: str, make: Callable[[], tuple[_T, ...]]) -> tuple[_T, ...]:
        if task not in plan.tasks:
            return ()
        try:
            return make()
        except GgufrunError as error:
            notes.append(f"The task {task} is left out: {error}")
            return ()

    bos = (vocabulary.bos,) if vocabulary.adds_bos and vocabulary.bos is not None else ()
    questions = made("choices", lambda: choices.items(texts, encoder.tokenize, bos=bos).questions)
    lengths = needle.lengths(needle_context(plan))
    needles = made("needle", lambda: needle.items(texts, _encode(encoder), lengths, count=plan.mode.needles))
    tools = made("tools", lambda: bfcl.items(plan.cache / "bfcl", plan.mode.calls))
    return TaskItems(Items(questions), needles, tools, tuple(notes))


def needle_context(plan: Plan) -> int:
    """The longest text with a needle in it, with the answer."""
    asked = plan.aims.context or plan.mode.needle_tokens
    return min(plan.reference.header.context_train or asked, asked)


def _encode(encoder: PromptEncoder) -> needle.Encode:
    def encode(text: str) -> Sequence[int]:
        return encoder.encode(ChatRequest((Message(role="user", content=text),))).tokens

    return encode
