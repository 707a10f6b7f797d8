"""Finds what of a JSON schema cannot be enforced while generating, each with the pointer of the keyword.

llguidance ignores keywords that it has never heard of: they are found here. What it refuses itself is located in
`schema_fault.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from ggufrun.chat.schema_keywords import ANNOTATIONS, COUNTS, ENFORCED, NO_EFFECT, NUMBERS, UNENFORCEABLE, draft
from ggufrun.chat.schema_pointer import Schema, at, children, escaped, has, mapped, names, reference
from ggufrun.errors import SchemaError

_DEEPEST: Final = 100  # nested JSON levels
_LARGEST: Final = 50_000  # JSON values
_LONGEST: Final = 2_000  # items that an array may have to have
_WIDEST: Final = 2_000  # properties of one object: llguidance's time grows with their square


@dataclass(frozen=True, slots=True)
class Fault:
    """A keyword that cannot be enforced; `pointer` is its own."""

    pointer: str
    reason: str

    @property
    def keyword(self) -> str:
        return names(self.pointer)[-1] if self.pointer else ""


def faults(schema: Schema) -> list[Fault]:
    """Everything that can be seen without llguidance, in the order in which a grammar would reach it."""
    check = _Check(schema)
    check.visit_all()
    return check.found


def refuse_large(schema: Any) -> None:
    """Raise SchemaError where the work would have no end in sight."""
    count, level = 0, [schema]
    for depth in range(_DEEPEST + 1):
        count += len(level)
        if count > _LARGEST:
            raise SchemaError(f"it has more than {_LARGEST} values.")
        level = [below for value in level for below in _below(value)]
        if not level:
            return
        if depth == _DEEPEST:
            raise SchemaError(f"it is nested deeper than {_DEEPEST} levels.")


def _below(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def cleaned(schema: Any) -> Any:
    """A copy as llguidance takes it: no keywords that say nothing, and counts as integers."""

    def clean(node: dict[str, Any], pointer: str) -> dict[str, Any]:
        return {
            key: int(value) if key in COUNTS and isinstance(value, float) and value.is_integer() else value
            for key, value in node.items()
            if (key, value) not in NO_EFFECT
        }

    return mapped(schema, clean)


class _Check:
    """Visits each schema that can be reached and notes what is not enforced."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._draft = draft(root)
        self._visited: set[str] = set()
        self.found: list[Fault] = []

    def visit_all(self) -> None:
        left = [""]
        while left:
            if (pointer := left.pop()) not in self._visited:
                self._visited.add(pointer)
                left += reversed(self._visit(pointer))

    def _visit(self, pointer: str) -> list[str]:
        """Where to look on from here."""
        schema = at(self._root, pointer)
        if schema is False and not pointer:
            self.found.append(Fault("", "nothing can satisfy it."))
        if not isinstance(schema, dict | bool):
            self.found.append(Fault(pointer, "a schema is an object, true or false."))
        if not isinstance(schema, dict):
            return []
        for keyword, value in schema.items():
            if reason := self._refusal(schema, keyword, value, pointer):
                self.found.append(Fault(f"{pointer}/{escaped(keyword)}", reason))
        target = reference(schema)
        return [*children(schema, pointer), *([target] if target is not None and has(self._root, target) else [])]

    def _refusal(self, schema: dict[str, Any], keyword: str, value: Any, pointer: str) -> str:
        """Why the keyword cannot be enforced, or nothing."""
        if keyword in UNENFORCEABLE:
            return "this keyword cannot be enforced while generating."
        if keyword not in ENFORCED and keyword not in ANNOTATIONS and not keyword.startswith("x-"):
            return "this keyword is unknown, and an unknown one would be ignored."
        match keyword:
            case "$schema" if draft(schema) is None:
                return "this JSON Schema version is unknown."
            case "$id" | "id" if pointer:
                return "below the root it changes what references mean."
            case "$ref":
                return self._bad_reference(schema)
            case "prefixItems" if (
                self._draft != 2020 or "additionalItems" in schema or isinstance(schema.get("items"), list)
            ):
                return "it is ignored in this version of JSON Schema, or beside older keywords."
            case "minProperties" if _is_count(value) and value > len(schema.get("required", ())) + 1:
                return "that many different keys cannot be enforced; list them as required."
            case "minItems" if _is_count(value) and value > _LONGEST:
                return f"no answer is that long: {_LONGEST} at most."
            case "properties" | "required" | "patternProperties" if len(value or ()) > _WIDEST:
                return f"more than {_WIDEST} are too many."
        if keyword in NUMBERS and any(_inexact(number) for number in _numbers(value)):
            return "a number that 64-bit floating point cannot hold."
        return ""

    def _bad_reference(self, schema: dict[str, Any]) -> str:
        target = reference(schema)
        if target is None:
            return "only references into the same document (#/…) can be followed."
        return "" if has(self._root, target) else "it points to nothing."


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _numbers(value: Any) -> Iterator[int | float]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield value
    for below in _below(value):
        yield from _numbers(below)


def _inexact(number: int | float) -> bool:
    """Whether llguidance, which computes with 64-bit floats, would take it for another number."""
    try:
        return Fraction(float(number)) != Fraction(number) or abs(number) >= 2**63
    except (OverflowError, ValueError):
        return True
