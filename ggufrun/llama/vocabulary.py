"""A GGUF's vocabulary as `engine.vocabulary.Vocabulary`: pieces, special tokens, llama.cpp's tokenizer."""

import ctypes
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from llama_cpp import llama_cpp as ll

from ggufrun.errors import ModelFileError
from ggufrun.llama.model import Model

_SPECIAL = ll.LLAMA_TOKEN_ATTR_CONTROL | ll.LLAMA_TOKEN_ATTR_UNKNOWN


class LlamaVocabulary:
    """Reads everything once (about 0.1 s at 131,072 tokens), so that look-ups are Python's own.

    `tokenize` may be called from any thread, until the model is closed; everything else outlives the model.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        if ll.llama_vocab_type(self._native) == ll.LLAMA_VOCAB_TYPE_NONE:
            raise ModelFileError(model.path, "has no vocabulary", "Choose a file with a tokenizer in it.")
        count = ll.llama_vocab_n_tokens(self._native)
        self._bos = _optional(ll.llama_vocab_bos(self._native))
        self._eos = _optional(ll.llama_vocab_eos(self._native))
        self._adds_bos = bool(ll.llama_vocab_get_add_bos(self._native))
        self._metadata = model.metadata
        self._pieces = _pieces(self._native, count)
        self._texts = _texts(self._native, count)
        vocabulary, attributes = self._native, ll.llama_vocab_get_attr
        self._special = frozenset(t for t in range(count) if attributes(vocabulary, t) & _SPECIAL)
        self._ends = frozenset(t for t in range(count) if ll.llama_vocab_is_eog(vocabulary, t))

    @classmethod
    def from_path(cls, path: Path) -> "LlamaVocabulary":
        """The vocabulary alone, without the weights. `close` frees it. Raises ModelFileError."""
        return cls(Model.load_vocabulary(path))

    @property
    def metadata(self) -> Mapping[str, str]:
        return self._metadata

    @property
    def bos(self) -> int | None:
        return self._bos

    @property
    def eos(self) -> int | None:
        return self._eos

    @property
    def adds_bos(self) -> bool:
        return self._adds_bos

    @property
    def pieces(self) -> list[bytes]:
        """`piece` of every token, in order."""
        return self._pieces

    @property
    def ends(self) -> frozenset[int]:
        """Every token that ends generation."""
        return self._ends

    def __len__(self) -> int:
        return len(self._pieces)

    def text(self, token: int) -> str:
        return self._texts[token]

    def piece(self, token: int) -> bytes:
        return self._pieces[token]

    def is_special(self, token: int) -> bool:
        return token in self._special

    def is_end(self, token: int) -> bool:
        return token in self._ends

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """llama.cpp's tokens of `text`, without BOS. Half a surrogate pair becomes "?": only UTF-8 can be tokenized."""
        return self._tokens(text, framed=False, special=special)

    def frame(self, text: str) -> list[int]:
        """The tokens of plain text between those that the model expects around it."""
        return self._tokens(text, framed=True, special=False)

    def _tokens(self, text: str, *, framed: bool, special: bool) -> list[int]:
        data = text.encode("utf-8", "replace")
        room = len(data) + 4  # SentencePiece may put a space in front, and a frame has two tokens
        while True:
            buffer = (ctypes.c_int32 * room)()
            count = ll.llama_tokenize(self._native, data, len(data), buffer, room, framed, special)
            if count >= 0:
                return buffer[:count]
            room = -count

    def close(self) -> None:
        """Free the native model; only for a vocabulary from `from_path`, whose model nobody else has."""
        self._model.close()

    @cached_property
    def _handle_of_open_model(self) -> Any:
        return ll.llama_model_get_vocab(self._model.handle)

    @property
    def _native(self) -> Any:
        """llama_vocab*; EngineClosed once the model is closed."""
        _ = self._model.handle
        return self._handle_of_open_model


def _optional(token: int) -> int | None:
    return None if token == ll.LLAMA_TOKEN_NULL else token


def _pieces(vocabulary: Any, count: int) -> list[bytes]:
    pieces: list[bytes] = []
    size = 1024
    buffer = ctypes.create_string_buffer(size)
    convert: Any = ll.llama_token_to_piece
    for token in range(count):
        length = convert(vocabulary, token, buffer, size, 0, True)
        if length < 0:  # too small: this is minus the size that it takes
            size = -length
            buffer = ctypes.create_string_buffer(size)
            length = convert(vocabulary, token, buffer, size, 0, True)
        pieces.append(buffer.raw[:length])
    return pieces


def _texts(vocabulary: Any, count: int) -> list[str]:
    text = ll.llama_vocab_get_text
    return [text(vocabulary, token).decode("utf-8", "replace") for token in range(count)]
