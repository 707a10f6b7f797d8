"""Keeps a user's text from becoming special tokens on its way through a chat template.

Templates write special tokens by name, so a user who writes "<|im_end|>" could end their own turn. Names in the
request's strings are swapped for private-use characters before rendering and swapped back after the cut into tokens.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ggufrun.engine.vocabulary import Vocabulary

PlainTokenizer = Callable[[str], list[int]]
_PRIVATE = range(0xE000, 0xF900)


class SpecialNames:
    """The names of a vocabulary's control tokens."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.ids: dict[str, int] = {}
        for token in range(len(vocabulary)):
            if vocabulary.is_special(token):
                name = vocabulary.piece(token).decode("utf-8", "replace")
                if name:
                    self.ids.setdefault(name, token)
        longest_first = sorted(self.ids, key=len, reverse=True)
        self.pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._longest = max(map(len, self.ids), default=0)
        self._heads = {name[:cut] for name in self.ids for cut in range(1, len(name))}
        self._tails = {name[cut:] for name in self.ids for cut in range(1, len(name))}
        self._first = {name[0] for name in self.ids}
        self._last = {name[-1] for name in self.ids}

    def completes(self, text: str) -> bool:
        """Whether the text starts as some name ends: what comes before could make it that name."""
        start = text[: self._longest]
        if not any(char in start for char in self._last):
            return False
        return any(start[:cut] in self._tails for cut in range(1, len(start) + 1))

    def begins(self, text: str) -> bool:
        """Whether the text ends as some name starts."""
        end = text[-self._longest :] if self._longest else ""
        if not any(char in end for char in self._first):
            return False
        return any(end[-cut:] in self._heads for cut in range(1, len(end) + 1))


class Shield:
    """Protects the strings of one request. `active` says whether there was anything to protect."""

    def __init__(self, names: SpecialNames, strings: Iterable[str]) -> None:
        self._names = names
        found: set[str] = set()
        used: set[str] = set()
        self.active = False
        for text in strings:
            matches = names.pattern.findall(text)
            found.update(matches)
            self.active = self.active or bool(matches) or names.completes(text) or names.begins(text)
            if not text.isascii():
                used.update(text)
        self._swap: dict[str, str] = {}
        self._back: dict[str, str] = {}
        if self.active:
            free = (chr(code) for code in _PRIVATE if chr(code) not in used)
            self._border = next(free)
            self._swap = {name: next(free) for name in sorted(found)}
            self._back = {char: name for name, char in self._swap.items()} | {self._border: ""}

    def protect(self, value: Any) -> Any:
        """The same JSON-like value with every string (and key) made harmless."""
        if not self.active:
            return value
        if isinstance(value, str):
            return self._protect_text(value)
        if isinstance(value, Mapping):
            return {self.protect(key): self.protect(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.protect(item) for item in value]
        return value

    def cut(self, rendered: str) -> Iterator[str | int]:
        """The rendered prompt as plain texts and ids of the special tokens that the template wrote."""
        for char in self._back:  # a template may have escaped them in JSON
            rendered = rendered.replace(f"\\u{ord(char):04x}", char)
        place = 0
        for match in self._names.pattern.finditer(rendered):
            yield self._restore(rendered[place : match.start()])
            yield self._names.ids[match.group()]
            place = match.end()
        yield self._restore(rendered[place:])

    def tokenize(self, rendered: str, plain: PlainTokenizer) -> list[int]:
        """Tokens of the rendered prompt, its plain stretches by `plain`."""
        tokens: list[int] = []
        for part in self.cut(rendered):
            if isinstance(part, int):
                tokens.append(part)
            elif part:
                tokens += plain(part)
        return tokens

    def _protect_text(self, text: str) -> str:
        before = self._border if self._names.completes(text) else ""
        after = self._border if self._names.begins(text) else ""
        return before + self._names.pattern.sub(lambda match: self._swap[match.group()], text) + after

    def _restore(self, text: str) -> str:
        return text.translate({ord(char): name for char, name in self._back.items()}) if self._back else text


def strings_in(value: Any) -> Iterator[str]:
    """Every string in a JSON-like value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from strings_in(key)
            yield from strings_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from strings_in(item)
