"""Token ids to text as they come, in whole characters. What the text means is not known here."""

import codecs
from collections.abc import Collection, Iterable, Mapping

from ggufrun.engine.vocabulary import Vocabulary

_new_decoder = codecs.getincrementaldecoder("utf-8")


class Detokenizer:
    """The text of one answer. Bytes that never become a character come out as U+FFFD, at the end at the latest.

    Special tokens print nothing, but for those whose names are in `shown`. Up to `skip_spaces` spaces at the very
    beginning are left out: one is what llama.cpp's detokenizer leaves out for SentencePiece vocabularies.
    """

    __slots__ = ("_decoder", "_is_special", "_piece", "_shown", "_skip")

    def __init__(self, vocabulary: Vocabulary, *, shown: Collection[bytes] = (), skip_spaces: int = 0) -> None:
        self._piece, self._is_special = vocabulary.piece, vocabulary.is_special
        self._shown = frozenset(shown)
        self._decoder = _new_decoder("replace")
        self._skip = skip_spaces

    def feed(self, tokens: Iterable[int]) -> str:
        """The characters that `tokens` complete."""
        raw = b"".join([self._bytes(token) for token in tokens])
        if self._skip and raw:
            raw = self._without_spaces(raw)
        return self._decoder.decode(raw)

    def finish(self) -> str:
        """U+FFFD where bytes of an unfinished character are left, else nothing; ready for more afterwards."""
        return self._decoder.decode(b"", True)

    def _without_spaces(self, raw: bytes) -> bytes:
        spaces = min(self._skip, len(raw) - len(raw.lstrip(b" ")))
        self._skip = self._skip - spaces if spaces == len(raw) else 0
        return raw[spaces:]

    def _bytes(self, token: int) -> bytes:
        piece = self._piece(token)
        return b"" if self._is_special(token) and piece not in self._shown else piece


def prefixes_space(metadata: Mapping[str, str]) -> bool:
    """Whether the vocabulary puts a space before a text's first word: SentencePiece ("llama"), unless it says not."""
    sentencepiece = metadata.get("tokenizer.ggml.model") == "llama"
    return sentencepiece and metadata.get("tokenizer.ggml.add_space_prefix", "true") != "false"
