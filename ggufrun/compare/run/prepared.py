"""What is read before any model is loaded: the reference's vocabulary, the text in chunks, the prompts"""

from dataclasses import dataclass
from typing import Final

from ggufrun.compare.run.chunks import Chunks, chunked
from ggufrun.compare.run.conversations import encoded, encoder_of, followed
from ggufrun.compare.run.plan import CHUNK, Plan
from ggufrun.compare.run.task_items import TaskItems, task_items
from ggufrun.compare.scoring.files import Written
from ggufrun.compare.texts.source import Prompt
from ggufrun.errors import OptionError
from ggufrun.llama.vocabulary import LlamaVocabulary

_LONGEST: Final = 2048  # tokens of a prompt


@dataclass(frozen=True, slots=True)
class Prepared:
    """`tokens` are the prompts', as they are fed. The vocabulary is of a model that is closed: pieces only."""

    vocabulary: LlamaVocabulary
    text: Chunks
    prompts: tuple[Prompt, ...]
    tokens: tuple[tuple[int, ...], ...]
    items: TaskItems

    def chat(self, written: Written) -> Chunks:
        """Chat mode's text, made of what the reference wrote."""
        return followed(self.prompts, self.tokens, written)


def prepare(plan: Plan) -> Prepared:
    """Raises OptionError where the text is too short, and ModelFileError where the vocabulary cannot be read."""
    found, trained = plan.reference.found, plan.reference.header.context_train or _LONGEST
    if trained < CHUNK:
        raise OptionError(
            f"{plan.reference.path.name} was made for {trained} tokens of context.",
            f"A comparison scores chunks of {CHUNK}: choose another model.",
        )
    vocabulary = LlamaVocabulary.from_path(plan.reference.path)
    try:
        text = chunked(plan.source.parts, vocabulary, plan.mode.chunks)
        longest = min(_LONGEST, trained - plan.mode.tokens)
        encoder = encoder_of(vocabulary, found.card if found else None)
        items = task_items(plan, vocabulary, encoder)
        prompts, tokens = encoded(plan.source.prompts, encoder, plan.mode.prompts, longest)
    finally:
        vocabulary.close()
    return Prepared(vocabulary, text, tuple(prompts), tuple(tokens), items)
