"""Where a JSON object ends in text that comes in pieces, by brackets and strings only: the rest is not checked."""

import re

_OPEN = re.compile(r'["{}\[\]<]')
_STRING = re.compile(r'["\\]')


class JsonSpan:
    """Follows one JSON object, white space before it included, until it is `over`.

    `broken` is set where the text cannot be one: no brace at the beginning, or a "<" outside of a string, which is
    where a tool call's closing marker begins.
    """

    __slots__ = ("_depth", "_escaped", "_quoted", "broken", "over")

    def __init__(self) -> None:
        self._depth = 0
        self._quoted = self._escaped = False
        self.over = self.broken = False

    def feed(self, text: str) -> int:
        """How many of these characters belong to the object; fewer than all only when it is over or broken."""
        at = 0
        while at < len(text) and not (self.over or self.broken):
            at = self._in_string(text, at) if self._quoted else self._outside(text, at)
        return at

    def _in_string(self, text: str, at: int) -> int:
        if self._escaped:
            self._escaped = False
            return at + 1
        found = _STRING.search(text, at)
        if found is None:
            return len(text)
        self._quoted, self._escaped = found[0] != '"', found[0] == "\\"
        return found.end()

    def _outside(self, text: str, at: int) -> int:
        if self._depth == 0:
            return self._begin(text, at)
        found = _OPEN.search(text, at)
        if found is None:
            return len(text)
        if found[0] == "<":
            self.broken = True
            return found.start()
        self._quoted = found[0] == '"'
        self._depth += (found[0] in "{[") - (found[0] in "}]")
        self.over = self._depth == 0
        return found.end()

    def _begin(self, text: str, at: int) -> int:
        rest = text[at:].lstrip()
        if not rest:
            return len(text)
        start = len(text) - len(rest)
        if rest[0] != "{":
            self.broken = True
            return start
        self._depth = 1
        return start + 1
