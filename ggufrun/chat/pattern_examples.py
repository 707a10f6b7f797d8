"""Examples of the strings that a JSON schema describes by regular expressions: hints for ending an answer inside one.

The engine checks each, so nothing here has to be exact.
"""

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from ggufrun.chat.regex_examples import LONGEST, Beyond, regex_examples

_MOST: Final = 64  # examples of one schema
_TRIED: Final = 128  # strings of one schema that have expressions
_TOGETHER: Final = 8  # expressions of one string
_CHARACTERS: Final = 2048  # of these
_NOTES: Final = {"default", "examples", "enum", "const"}  # they hold values, not schemas
_CACHED: Final = 256
# Formats that are mostly free text; in the others each character is nearly given.
_FORMATS: Final = {"email": r"^[a-z]+@[a-z]+\.[a-z]{2}$", "uri": "^[a-z]+:[a-z]+$"}


def pattern_examples(*schemas: Any) -> tuple[str, ...]:
    """Texts as they stand between a JSON string's quotes: some for each `pattern` and key of `patternProperties`."""
    found: dict[str, None] = {}
    for patterns, least, most in islice(_wanted(schemas), _TRIED):
        for example in filter(None, _examples(patterns, least, most)):
            found[json.dumps(example, ensure_ascii=False)[1:-1]] = None
        if len(found) >= _MOST:
            break
    return tuple(found)[:_MOST]


def _wanted(schemas: Iterable[Any]) -> Iterator[tuple[tuple[str, ...], int, int]]:
    """What one string must match, the fewest and the most characters that it may have; in the schemas' order."""
    left = list(schemas)[::-1]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            together = [part for part in (value, *_items(value.get("allOf"))) if isinstance(part, dict)]
            patterns = [part["pattern"] for part in together if isinstance(part.get("pattern"), str)]
            if not patterns and isinstance(form := value.get("format"), str) and form in _FORMATS:
                patterns = [_FORMATS[form]]
            if patterns and len(patterns) <= _TOGETHER and sum(map(len, patterns)) <= _CHARACTERS:
                least = max(_count(part.get("minLength"), 0) for part in together)
                yield tuple(patterns), least, min(_count(part.get("maxLength"), LONGEST) for part in together)
            if isinstance(keys := value.get("patternProperties"), dict):
                yield from (((key,), 0, LONGEST) for key in keys if len(key) <= _CHARACTERS)
            left += [part for key, part in value.items() if key not in _NOTES][::-1]
        left += _items(value)[::-1]


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _count(value: Any, otherwise: int) -> int:
    """A length, as far as it matters here."""
    return int(min(value, LONGEST + 1)) if isinstance(value, int | float) and value >= 0 else otherwise


@lru_cache(_CACHED)
def _examples(patterns: tuple[str, ...], least: int, most: int) -> tuple[str, ...]:
    """The shortest one first, then such as take other branches. None where an expression is beyond this module."""
    if least > LONGEST:
        return ()
    try:
        found = _joined(patterns, 0)
        if (missing := least - len(found[0])) > 0:
            found = _joined(patterns, missing)
        "".join(found).encode()
    except (Beyond, UnicodeEncodeError):  # half a surrogate pair is no text
        return ()
    fixed = patterns[0].startswith("^")
    padded = [text.ljust(least) if fixed else text.rjust(least) for text in found]
    return tuple(dict.fromkeys(text for text in padded if len(text) <= most))


def _joined(patterns: tuple[str, ...], missing: int) -> list[str]:
    """One expression's examples; several ones' one after the other, which is all of them where no two are anchored."""
    if len(patterns) == 1:
        return regex_examples(patterns[0], missing)
    order = sorted(patterns, key=lambda pattern: pattern.endswith("$") - pattern.startswith("^"))
    return ["".join(regex_examples(pattern)[0] for pattern in order)]
