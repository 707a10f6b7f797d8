"""The seam for a model's vocabulary, without weights. `ggufrun.llama` implements it; grammar and chat build on it."""

from collections.abc import Mapping
from typing import Protocol


class Vocabulary(Protocol):
    @property
    def metadata(self) -> Mapping[str, str]:
        """The GGUF's scalar metadata as text (`general.architecture`, `tokenizer.ggml.pre`, …)."""

    @property
    def bos(self) -> int | None: ...
    @property
    def eos(self) -> int | None: ...
    @property
    def adds_bos(self) -> bool:
        """Whether the model expects BOS before a prompt."""

    def __len__(self) -> int: ...

    def text(self, token: int) -> str:
        """The token as the GGUF spells it (byte-level unicode or SentencePiece's "▁" left as they are)."""

    def piece(self, token: int) -> bytes:
        """The bytes that the token stands for; a special token's are its own name's, e.g. b"<|im_end|>"."""

    def is_special(self, token: int) -> bool:
        """Control tokens: never printed, never made from a user's text."""

    def is_end(self, token: int) -> bool:
        """Whether the token ends generation."""

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Token ids of `text`, no BOS added; `special` also turns special tokens' names into their ids."""


class TextVocabulary(Protocol):
    """What an embedding model's texts need of its vocabulary."""

    def __len__(self) -> int: ...

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """As `Vocabulary.tokenize`."""

    def frame(self, text: str) -> list[int]:
        """Token ids of plain text between those that the model expects around it: BOS or CLS, EOS or SEP."""
