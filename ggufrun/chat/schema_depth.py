"""How deep a schema leads through its parts and references: llguidance follows them on the stack, which ends."""

from collections.abc import Mapping
from typing import Any, Final

from ggufrun.chat.schema_pointer import Schema, at, children, has, reference
from ggufrun.errors import SchemaError

# Of 8 MiB of stack each schema on the way takes 5 KiB or less (llguidance 1.9): 1,600 are too deep.
_DEEPEST: Final = 800


def refuse_deep(schema: Schema) -> None:
    """Raise SchemaError where following the schema could end the process."""
    edges = _edges(schema)
    below, circles = _peeled(edges)
    above, circles = _peeled(_reversed({node: edges[node] & circles for node in circles}))
    if below + above + len(circles) > _DEEPEST:
        raise SchemaError(f"its references lead deeper than {_DEEPEST} levels.")


def _edges(schema: Schema) -> dict[str, set[str]]:
    """For the pointer of each schema that can be reached, where it leads."""
    found: dict[str, set[str]] = {}
    left = [""]
    while left:
        if (pointer := left.pop()) not in found:
            node: Any = at(schema, pointer)
            found[pointer] = set(children(node, pointer))
            if (target := reference(node)) is not None and has(schema, target):
                found[pointer].add(target)
            left += found[pointer]
    return found


def _peeled(edges: Mapping[str, set[str]]) -> tuple[int, set[str]]:
    """The longest way through nodes that lead to no circle, and the nodes that do."""
    back = _reversed(edges)
    waiting = {node: len(to) for node, to in edges.items()}
    level, depth = [node for node, count in waiting.items() if count == 0], 0
    while level:
        depth += 1
        freed = []
        for node in level:
            for before in back[node]:
                waiting[before] -= 1
                if waiting[before] == 0:
                    freed.append(before)
        level = freed
    return depth, {node for node, count in waiting.items() if count > 0}


def _reversed(edges: Mapping[str, set[str]]) -> dict[str, set[str]]:
    back: dict[str, set[str]] = {node: set() for node in edges}
    for node, to in edges.items():
        for each in to:
            back[each].add(node)
    return back
