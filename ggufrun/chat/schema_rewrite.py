"""Rewrites keywords that no grammar can enforce into ones that it can, where exactly the same values stay valid.

A keyword for which no rule is sure stays, and `schema_check.py` refuses it. The rules are in `schema_rules.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ggufrun.chat.schema_keywords import ANNOTATIONS, NO_EFFECT
from ggufrun.chat.schema_logic import Logic, TooMuch, all_of
from ggufrun.chat.schema_pointer import Schema, at, children, escaped, has, reference, replaced
from ggufrun.chat.schema_rules import GROUPS, RULES, Change, Place

_MOST: Final = 2_000  # sub-schemas that are looked at
_MOST_CHANGES: Final = 64  # of one document: each may double what llguidance has to look at
_BARE: Final = ANNOTATIONS | {"$ref"}
# Keywords that may be put beside any others: they do not change what their neighbours mean.
_ALONE: Final = frozenset(
    ("type", "anyOf", "required", "enum", "minItems", "maxItems", "maxProperties", "minProperties")
)


@dataclass(slots=True)
class Rewritten:
    """`pointers` are those of the keywords that are gone; `moved` maps new places to the keyword each came from."""

    schema: Schema
    pointers: list[str] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)

    def origin(self, pointer: str) -> str:
        """Where what is now at `pointer` came from, as far as the client's own schema has it."""
        path = pointer
        while path:
            if path in self.moved:
                return self.moved[path]
            path = path.rpartition("/")[0]
        return pointer


def rewrite(schema: Schema) -> Rewritten:
    """The schema with everything rewritten that can be. `schema` is valid by its metaschema."""
    return _Rewriter(schema).run()


class _Rewriter:
    def __init__(self, root: Schema) -> None:
        self._root, self._result = root, Rewritten(root)
        self._targets = {target for node in _all_nodes(root, "") if (target := reference(node)) is not None}
        self._logic = Logic()
        self._looked = 0

    def run(self) -> Rewritten:
        left = [""]
        while left and self._looked < _MOST:
            pointer = left.pop()
            self._looked += 1
            node = at(self._result.schema, pointer)
            if not isinstance(node, dict):
                continue
            changed = self._node(node, pointer)
            if changed is not node:
                self._result.schema = replaced(self._result.schema, pointer, changed)
            left += children(changed, pointer)
            left += _definitions(changed, pointer)
        return self._result

    def _node(self, node: dict[str, Any], pointer: str) -> Schema:
        here = node
        for keyword in RULES:
            if keyword not in here or (keyword, here[keyword]) in NO_EFFECT:
                continue
            group = GROUPS.get(keyword, (keyword,))
            rest = {key: value for key, value in here.items() if key not in group}
            change = self._change(keyword, Place(here, rest, self._resolved, self._logic))
            if change is None or self._moves_a_target(here, {**rest, **change.edits}, pointer):
                continue
            origin = self._result.origin(f"{pointer}/{keyword}")
            self._result.pointers.append(origin)
            here = self._applied(rest, change, pointer, origin)
            if all_of(*change.also) is False and not pointer:
                return False
        return here

    def _change(self, keyword: str, place: Place) -> Change | None:
        if len(self._result.pointers) >= _MOST_CHANGES:
            return None
        try:
            return RULES[keyword](place.schema[keyword], place)
        except TooMuch:
            return None

    def _applied(self, rest: dict[str, Any], change: Change, pointer: str, origin: str) -> dict[str, Any]:
        """What is left of a node with what takes the keyword's place."""
        here = {**rest, **change.edits}
        for schema in change.also:
            if schema is True or schema == {}:
                continue
            if isinstance(schema, dict) and schema.keys() <= _ALONE and here.keys().isdisjoint(schema):
                here |= schema
                self._result.moved |= {f"{pointer}/{key}": origin for key in schema}
                continue
            parts = list(here.get("allOf", ()))
            self._result.moved[f"{pointer}/allOf/{len(parts)}"] = origin
            here["allOf"] = [*parts, schema]
        return here

    def _moves_a_target(self, before: dict[str, Any], after: dict[str, Any], pointer: str) -> bool:
        """Whether something else would stand, below this place, where a reference leads to."""
        inner = [target[len(pointer) :] for target in self._targets if target.startswith(f"{pointer}/")]
        return any(
            has(before, place) and not (has(after, place) and at(before, place) is at(after, place)) for place in inner
        )

    def _resolved(self, schema: Schema) -> Schema:
        """What a bare reference refers to, as it was in the beginning."""
        for _ in range(8):
            if (target := reference(schema)) is None or (isinstance(schema, dict) and schema.keys() - _BARE):
                return schema
            try:
                schema = at(self._root, target)
            except LookupError:
                return {"$ref": "#"}
        return schema


def _definitions(node: Schema, pointer: str) -> Iterator[str]:
    for keyword in ("$defs", "definitions"):
        held = node.get(keyword) if isinstance(node, dict) else None
        if isinstance(held, dict):
            yield from (f"{pointer}/{keyword}/{escaped(name)}" for name in held)


def _all_nodes(value: Any, pointer: str) -> Iterator[Any]:
    """Every object of the document: one that is no schema does no harm here."""
    if isinstance(value, dict):
        yield value
    for below in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _all_nodes(below, pointer)
