"""Finds the keyword behind llguidance's complaint about a JSON schema, by compiling parts of the schema."""

import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from ggufrun.chat.schema_pointer import Schema, at, children, mapped, reference, replaced
from ggufrun.errors import SchemaError

_SECONDS: Final = 1.0  # then the place found so far is named
_HOME = "#/$defs/root"
UNSATISFIABLE: Final = "Unsatisfiable schema"
NOTHING: Final = "nothing can satisfy it"


def locate(schema: Schema, complaint: str, compile_schema: Callable[[Any], str]) -> SchemaError:
    """The error for `complaint`, which `compile_schema` made of `schema`, at the deepest keyword that explains it."""
    search = _Search(schema, complaint, compile_schema)
    pointer = search.deepest()
    return SchemaError(_reason(search.complaint), search.keyword(pointer))


class _Search:
    def __init__(self, root: Schema, complaint: str, compile_schema: Callable[[Any], str]) -> None:
        self._root, self._compile, self.complaint = root, compile_schema, complaint
        self._version = {"$schema": root["$schema"]} if isinstance(root, dict) and "$schema" in root else {}
        self._home = mapped(root, _moved)
        self._until = time.monotonic() + _SECONDS

    def deepest(self) -> str:
        """The pointer of the innermost sub-schema that is refused by itself."""
        pointer, seen = "", {""}
        self.complaint = self._complaint("") or self.complaint
        while True:
            node = at(self._root, pointer)
            below = list(children(node, pointer))
            if (target := reference(node)) is not None:
                below.append(target)
            guilty = next((child for child in below if child not in seen and self._guilty(pointer, child)), None)
            if guilty is None:
                return pointer
            pointer = guilty
            seen.add(pointer)
            self.complaint = self._complaint(pointer)

    def keyword(self, pointer: str) -> str:
        """The pointer of the keyword there without which the complaint would be another, or `pointer` itself."""
        node = at(self._home, pointer)
        for keyword in sorted(node, key=lambda key: bool(key == "type")) if isinstance(node, dict) else ():
            rest = {key: value for key, value in node.items() if key != keyword}
            if self._complaint(pointer, replaced(self._home, pointer, rest)) != self.complaint:
                return f"{pointer}/{keyword}"
        return pointer

    def _guilty(self, pointer: str, child: str) -> bool:
        """Whether the child explains the complaint: one that nothing satisfies may be there on purpose."""
        if time.monotonic() > self._until:
            return False
        complaint = self._complaint(child)
        if not complaint or (UNSATISFIABLE in complaint) != (UNSATISFIABLE in self.complaint):
            return False
        if UNSATISFIABLE not in complaint:
            return True
        return self._complaint(pointer, replaced(self._home, child, True)) != self.complaint

    def _complaint(self, pointer: str, home: Any = None) -> str:
        """llguidance's complaint about one sub-schema, in whose references the whole document can be reached."""
        root = self._home if home is None else home
        return self._compile({**self._version, "$defs": {"root": root}, "$ref": _HOME + quote(pointer, safe="/~")})


def _moved(node: dict[str, Any], pointer: str) -> dict[str, Any]:
    """With its reference changed for the document's new place, and without a name: that would change it again."""
    moved = {key: value for key, value in node.items() if key not in ("$id", "id")}
    if isinstance(target := node.get("$ref"), str) and target.startswith("#"):
        moved["$ref"] = _HOME + target[1:]
    return moved


def _reason(complaint: str) -> str:
    """llguidance's words, shortened to a sentence."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    if lines[0].startswith("regex parse error"):
        lines = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")] or lines
    first = lines[0].removeprefix("failed to compile JSON schema: ")
    if first.startswith("oneOf constraints"):
        return "its alternatives are not known to exclude one another; use anyOf."
    if UNSATISFIABLE in first:
        why = first.split(": ", 1)[-1]
        return f"{NOTHING} ({why})."
    return f"{first[:200].rstrip('.')}."
