"""Short texts that match a regular expression, made by reading it: no expression is run, so none can take for ever.

They are tries, to be checked: what is beyond this (look-arounds, references) has none. Syntax as in Rust and ECMA-262.
"""

import re
import string
from typing import Final

_SOURCE: Final = 4000  # characters of an expression
_VARIANTS: Final = 8  # examples of one expression
LONGEST: Final = 512  # characters of an example
_DEEPEST: Final = 40  # nested groups

_QUANTIFIER: Final = re.compile(r"(?:([*+?])|\{([0-9]{1,6})(,([0-9]{0,6}))?\})[?+]?")
_GROUP: Final = re.compile(r"\((?:\?(?:P?<[^=!<>]+>|[a-zA-Z-]*:))?")
_FLAGS: Final = re.compile(r"\(\?[a-zA-Z-]+\)")
_CODE: Final = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|[xu]\{([0-9A-Fa-f]{1,5})\})")
_RANGE: Final = re.compile(r"-(?!\]|$)")
_PROPERTY: Final = re.compile(r"\\([pP])(?:([A-Z])|\{\^?(?:\w+=)?(\w+)\})")
_ENDLESS: Final = 1 << 30

_SPACES: Final = " \t\n\r\f\v"
_SIGNS: Final = "-_./:+=,;@#!?%&*'$~^|<>(){}[]`\"\\"
_WORD: Final = string.ascii_letters + string.digits + "_"
_OTHER: Final = "é€жβ中"
# Each class is cut down to these, the plainest first; where many of one are needed, long runs are the fewest tokens.
_PLAIN: Final = string.ascii_lowercase + string.digits + string.ascii_uppercase + _SIGNS + _SPACES + _OTHER
_RUNS: Final = " -_=.a0" + _PLAIN
_MANY: Final = 8
_CLASSES: Final = {"d": string.digits, "w": _WORD, "s": _SPACES}
_CONTROLS: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}
_PROPERTIES: Final = {
    "Lu": string.ascii_uppercase,
    "Ll": string.ascii_lowercase,
    "L": string.ascii_letters,
    "N": string.digits,
    "P": "-_./:,;@#!?%&*'(){}[]\"\\",
    "S": "+=$~^|<>`",
    "Z": " ",
    "Latin": string.ascii_letters,
    "Greek": "β",
    "Cyrillic": "ж",
    "Han": "中",
}


def regex_examples(source: str, missing: int = 0) -> list[str]:
    """The shortest example first, or one that is `missing` longer where that can be; then some by other branches.

    Raises Beyond.
    """
    return _Expression(source, missing).examples()


class Beyond(Exception):
    """An expression that no example is made for."""


class _Expression:
    """A regular expression, read once from left to right; each part gives its examples, the shortest one first.

    The first parts that may be repeated are, until `missing` more characters have come.
    """

    def __init__(self, source: str, missing: int = 0) -> None:
        self._source, self._missing, self._at = source, missing, 0

    def examples(self) -> list[str]:
        if len(self._source) > _SOURCE:
            raise Beyond
        found = self._either(0)
        if self._at < len(self._source):
            raise Beyond
        return found

    def _either(self, depth: int) -> list[str]:
        if depth > _DEEPEST:
            raise Beyond
        missing, left, branches = self._missing, self._missing, list[list[str]]()
        while not branches or self._take("|"):
            self._missing = missing
            branches.append(self._sequence(depth))
            left = min(left, self._missing)
        self._missing = left
        branches.sort(key=lambda branch: len(branch[0]))
        return ([branch[0] for branch in branches] + [more for branch in branches for more in branch[1:]])[:_VARIANTS]

    def _sequence(self, depth: int) -> list[str]:
        found = [""]
        while self._at < len(self._source) and self._source[self._at] not in "|)":
            part = self._repeated(depth)
            found = [each + part[0] for each in found] + [found[0] + other for other in part[1:]]
            if len(found[0]) > LONGEST:
                raise Beyond
            found = [each for each in found if len(each) <= LONGEST][:_VARIANTS]
        return found

    def _repeated(self, depth: int) -> list[str]:
        part = self._part(depth)
        low, high = self._counts()
        if isinstance(part, frozenset):
            part = [_member(part, low + min(high - low, self._missing))]
        size = len(part[0])
        if size and self._missing > 0:
            more = min(high - low, -(-self._missing // size))
            low, self._missing = low + more, self._missing - more * size
        if size * low > LONGEST or low > _ENDLESS:
            raise Beyond
        return ["", *part] if low == 0 else [each * low for each in part if len(each) * low <= LONGEST]

    def _counts(self) -> tuple[int, int]:
        """The fewest and the most times that the part just read comes."""
        low = high = 1
        while quantifier := _QUANTIFIER.match(self._source, self._at):
            self._at = quantifier.end()
            sign, fewest, more, most = quantifier.groups()
            low *= int(fewest) if fewest else int(sign == "+")
            high *= 1 if sign == "?" else int(most) if most else _ENDLESS if sign or more else int(fewest)
        return low, max(low, high)

    def _part(self, depth: int) -> list[str] | frozenset[str]:
        """One atom: a group's examples, or the characters that a class allows."""
        if flags := _FLAGS.match(self._source, self._at):
            self._at = flags.end()
            return [""]
        if group := _GROUP.match(self._source, self._at):
            self._at = group.end()
            found = self._either(depth + 1)
            if not self._take(")"):
                raise Beyond
            return found
        if self._source[self._at] == "\\":
            return [""] if self._take(r"\b", r"\B", r"\A", r"\z", r"\Z") else self._escape()
        if self._take("["):
            return self._class()
        character = self._source[self._at]
        if character in "?*+":
            raise Beyond
        self._at += 1
        return [""] if character in "^$" else frozenset(_PLAIN if character == "." else character)

    def _class(self) -> frozenset[str]:
        negated, found, first = self._take("^"), set[str](), True
        while first or not self._take("]"):
            start, first = self._item(), False
            if len(start) == 1 and (dash := _RANGE.match(self._source, self._at)):
                self._at = dash.end()
                stop = self._item()
                low, high = min(start), max(stop)
                found |= {each for each in _PLAIN if low <= each <= high}
            found |= start
        return frozenset(set(_PLAIN) - found if negated else found)

    def _item(self) -> frozenset[str]:
        if self._at >= len(self._source):
            raise Beyond
        if self._source[self._at] == "\\":
            return self._escape()
        self._at += 1
        return frozenset(self._source[self._at - 1])

    def _escape(self) -> frozenset[str]:
        if code := _CODE.match(self._source, self._at):
            self._at = code.end()
            return frozenset(chr(int(code[code.lastindex or 0], 16)))
        if named := _PROPERTY.match(self._source, self._at):
            self._at = named.end()
            name = named[2] or named[3]
            allowed = _PROPERTIES.get(name) or _PROPERTIES.get(name[:1])
            if allowed is None:
                raise Beyond
            return frozenset(allowed) if named[1] == "p" else frozenset(_PLAIN) - frozenset(allowed)
        letter = self._source[self._at + 1 : self._at + 2]
        self._at += 2
        if characters := _CLASSES.get(letter.lower()):
            return frozenset(characters) if letter.islower() else frozenset(_PLAIN) - frozenset(characters)
        if not letter or (letter not in _CONTROLS and letter.isalnum()):
            raise Beyond  # a reference, or of a dialect that is not known here
        return frozenset(_CONTROLS.get(letter, letter))

    def _take(self, *texts: str) -> bool:
        for text in texts:
            if self._source.startswith(text, self._at):
                self._at += len(text)
                return True
        return False


def _member(characters: frozenset[str], count: int) -> str:
    if not characters:
        raise Beyond
    order = _PLAIN if count < _MANY else _RUNS
    return next((each for each in order if each in characters), min(characters))
