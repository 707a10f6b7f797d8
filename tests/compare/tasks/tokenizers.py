"""Tokenizers that are easy to reckon with: of letters, of bytes, and of words with the space before them"""

import re


def letters(text: str) -> list[int]:
    return [ord(letter) for letter in text]


def of_bytes(text: str) -> list[int]:
    return list(text.encode())


class Words:
    """Numbers words as they come; `text` reads them back."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}

    def __call__(self, text: str) -> list[int]:
        return [self._ids.setdefault(word, len(self._ids)) for word in re.findall(r"\s*\S+|\s+", text)]

    def text(self, tokens: tuple[int, ...]) -> str:
        words = list(self._ids)
        return "".join(words[token] for token in tokens)


def prose(words: int, seed: int = 0) -> str:
    """No two pieces of it are the same."""
    return " ".join(f"word{seed}x{number}{'.' if number % 9 == 8 else ''}" for number in range(words))
