"""What a header's vocabulary must not hold: llama.cpp ends the whole process over it, instead of refusing the file."""

from array import array
from collections.abc import Mapping
from typing import Final

from ggufrun.weights.cursor import Cursor
from ggufrun.weights.fields import ArrayField, Scalar, ValueType

TOKENS: Final = "tokenizer.ggml.tokens"
TYPES: Final = "tokenizer.ggml.token_type"
_MODEL: Final = "tokenizer.ggml.model"
_MOST: Final = 1 << 20  # tokens; the largest vocabularies in use have a quarter of that
_BYTE: Final = 6  # llama.cpp's LLAMA_TOKEN_TYPE_BYTE
_WORD_PIECES: Final = "bert"  # the kind of vocabulary that has no byte tokens


class Vocabulary:
    """Looks at the tokens and their types while a header is read. Every method raises ModelFileError."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._has_bytes = False

    def array(self, key: str, kind: ValueType, length: int, what: str) -> bool:
        """Step over an array that is looked at; False where it is not one of those, and the cursor stays."""
        if key == TOKENS and kind is ValueType.STRING:
            self._tokens(length, what)
        elif key == TYPES and kind is ValueType.INT32 and length <= _MOST:
            self._has_bytes = _BYTE in array("i", self._cursor.take(length * 4, what))
        else:
            return False
        return True

    def _tokens(self, length: int, what: str) -> None:
        """No two alike, as llama.cpp sees them: up to a NUL, and those that are empty by a name of its own."""
        if length > _MOST:
            raise self._cursor.damaged(f"{what} has {length:,} tokens")
        texts = self._cursor.strings(length, what)
        different = len(set(texts))
        if b"" in texts or b"\0" in b"".join(texts):
            different = len({text.partition(b"\0")[0] or b"[EMPTY_%d]" % at for at, text in enumerate(texts)})
        if different < length:
            raise self._cursor.damaged(f"{what} has {length - different:,} tokens that are there twice")

    def check(self, metadata: Mapping[str, Scalar | ArrayField]) -> None:
        """What can be said only when all keys are known."""
        if self._has_bytes and metadata.get(_MODEL) == _WORD_PIECES:
            raise self._cursor.damaged("its vocabulary of word pieces has byte tokens")
        for key, value in metadata.items():
            if key.endswith(".vocab_size") and isinstance(value, int) and not 0 <= value <= _MOST:
                raise self._cursor.damaged(f"{key!r} is {value:,}")
