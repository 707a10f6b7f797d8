"""What becomes of a JSON schema: what is rewritten without loss, and what is left to refuse or to check afterwards."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ggufrun.chat.schema_check import Fault, cleaned, faults, refuse_large
from ggufrun.chat.schema_core import core
from ggufrun.chat.schema_depth import refuse_deep
from ggufrun.chat.schema_draft import read_by_draft
from ggufrun.chat.schema_fault import NOTHING, UNSATISFIABLE, locate
from ggufrun.chat.schema_keywords import UNENFORCEABLE
from ggufrun.chat.schema_pointer import Schema, at, has, is_schema, mapped, names, reference, replaced
from ggufrun.chat.schema_references import localised
from ggufrun.chat.schema_rewrite import Rewritten, rewrite
from ggufrun.chat.schema_validation import verify
from ggufrun.errors import NotEnforceable, SchemaError

_SECONDS: Final = 4.0  # for finding out what llguidance refuses
_ROUNDS: Final = 64
_MOST: Final = 100  # keywords that are taken out one by one
# What means something else once its neighbour is gone.
_DEPENDENT: Final = {
    "properties": ("additionalProperties",),
    "patternProperties": ("additionalProperties",),
    "prefixItems": ("items", "additionalItems"),
    "items": ("additionalItems",),
}

Compile = Callable[[Any], str]  # llguidance's complaint about a schema, "" if there is none


@dataclass(frozen=True, slots=True)
class SchemaPlan:
    """`enforced` is what llguidance gets. All pointers are into the client's schema.

    `rewritten` are the keywords whose meaning others have taken over, `refused` those that nothing enforces while
    generating: with none, `enforced` allows exactly what the schema does.
    """

    enforced: Schema
    rewritten: tuple[str, ...] = ()
    refused: tuple[Fault, ...] = ()

    def refuse(self, param: str, base: str) -> None:
        """Raise NotEnforceable for the first keyword that cannot be enforced."""
        for fault in self.refused:
            raise NotEnforceable(fault.reason, base + fault.pointer, param)


def plan_schema(schema: Any, compile_schema: Compile) -> SchemaPlan:
    """Raises SchemaError for a schema that is none, has references that lead nowhere, or that nothing can satisfy.

    `compile_schema` is called once, and often for a bad schema. `schema` is fresh from JSON: its parts have one place.
    """
    refuse_large(schema)
    read, ignored = read_by_draft(schema)
    result = Rewritten(read)
    if any(_is_strange(keyword) for keyword in _keywords(schema)):
        verify(schema)
        result = _rewritten(read)
    return _Plan(schema, result, ignored, compile_schema).made()


def _rewritten(schema: Any) -> Rewritten:
    result = rewrite(localised(schema))
    try:
        refuse_large(result.schema)  # rules repeat parts
    except SchemaError:
        return Rewritten(schema)
    return result


class _Plan:
    def __init__(self, given: Any, result: Rewritten, ignored: list[Fault], compile_schema: Compile) -> None:
        self._given, self._result, self._compile = given, result, compile_schema
        self._schema: Schema = cleaned(result.schema)
        self._refused = {fault.pointer: fault for fault in ignored}

    def made(self) -> SchemaPlan:
        if self._schema is False:
            where = self._result.pointers[0] if self._result.pointers else ""
            raise SchemaError(f"{NOTHING}.", where)
        self._refuse(*faults(self._schema))
        refuse_deep(self._schema)
        until = time.monotonic() + _SECONDS
        for _ in range(_ROUNDS):
            if not (complaint := self._compile(self._schema)):
                break
            found = locate(self._schema, complaint, self._compile)
            if UNSATISFIABLE in complaint and self._is_impossible():
                raise SchemaError(found.reason, self._original(found.pointer))
            self._refuse(Fault(found.pointer, found.reason))
            if time.monotonic() > until:
                self._schema = True
        else:
            self._schema = True
        return SchemaPlan(self._schema, tuple(dict.fromkeys(self._result.pointers)), tuple(self._refused.values()))

    def _is_impossible(self) -> bool:
        """Whether nothing satisfies the schema, of which llguidance says so: it may only be a part that need not be."""
        verify(self._given)
        return UNSATISFIABLE in self._compile(core(self._schema))

    def _refuse(self, *faults: Fault) -> None:
        """Take the keywords out of what is enforced."""
        for fault in faults:
            origin = self._original(fault.pointer)
            self._refused.setdefault(origin, Fault(origin, fault.reason))
        if len(faults) > _MOST:
            self._schema = True
        elif faults:
            for fault in faults:
                self._schema = without(self._schema, fault.pointer)
            self._schema = without_dangling(self._schema)

    def _original(self, pointer: str) -> str:
        """The place in the client's schema, or the nearest one around it that it has."""
        place = self._result.origin(pointer)
        while place and not has(self._given, place):
            place = place.rpartition("/")[0]
        return place


def without(schema: Schema, pointer: str) -> Schema:
    """A copy in which the keyword, or the whole sub-schema, asks for nothing."""
    if not has(schema, pointer):
        return schema  # gone with its neighbour
    if not pointer:
        return True
    place, keyword = pointer.rpartition("/")[0], names(pointer)[-1]
    if not is_schema(schema, place) and is_schema(schema, pointer):  # one of several below a keyword
        changed: Schema = replaced(schema, pointer, True)
        return changed
    while not is_schema(schema, place):  # something inside of a keyword's value
        place, keyword = place.rpartition("/")[0], names(place)[-1]
    node = at(schema, place)
    rest = {key: value for key, value in node.items() if key not in (keyword, *_DEPENDENT.get(keyword, ()))}
    if keyword == "oneOf" and "anyOf" not in node:
        rest["anyOf"] = node["oneOf"]
    changed = replaced(schema, place, rest)
    return changed


def without_dangling(schema: Schema) -> Schema:
    """A copy without the references to what was taken out."""

    def kept(node: dict[str, Any], pointer: str) -> dict[str, Any]:
        target = reference(node)
        return node if target is None or has(schema, target) else {key: node[key] for key in node if key != "$ref"}

    result: Schema = mapped(schema, kept)
    return result


def _keywords(schema: Any) -> set[str]:
    """All keys of the document, names of properties among them: too many do no harm."""
    found, left = set[str](), [schema]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            found.update(value)
        left += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return found


def _is_strange(keyword: str) -> bool:
    return keyword in UNENFORCEABLE or keyword in ("oneOf", "$id", "$anchor")
