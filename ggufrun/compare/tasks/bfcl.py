"""Questions that want one tool call, each with the answers that are accepted: from BFCL, chosen by a seed

Simple ones offer one function, multiple ones several; "live" were asked by users. Asking is `tools`', judging is
`call_judge`'s.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from ggufrun.chat.tool_history import tool_name
from ggufrun.chat.types import Function, Message, Tool
from ggufrun.compare.tasks.bfcl_wheel import CATEGORIES, read, wheel
from ggufrun.compare.tasks.call_judge import accepted_values, accepts, fits
from ggufrun.compare.tasks.drawing import by_turns
from ggufrun.compare.tasks.python_schema import json_schema

ENOUGH: Final = 200
_LONGEST: Final = 8_000  # characters of question and tools, about 2,000 tokens: they fit into any context


@dataclass(frozen=True, slots=True)
class Item:
    id: str
    group: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]
    function: str  # the one to be called
    accepted: Mapping[str, Sequence[Any]]  # of each of its parameters, as for `call_judge.fits`

    @property
    def wanted(self) -> Tool:
        return next(tool for tool in self.tools if tool.function.name == self.function)


def items(folder: Path, count: int = ENOUGH, seed: int = 0) -> tuple[Item, ...]:
    """As many of each category as there are, or as `count` allows. The wheel is fetched into `folder` once.

    Raises OptionError where it cannot be had.
    """
    return chosen([item for item in usable(wheel(folder)) if _length(item) <= _LONGEST], count, seed)


def usable(path: Path) -> tuple[Item, ...]:
    """All items of the wheel at `path` but those few whose own answer is not right, or breaks its own schema."""
    return tuple(
        item
        for group, (questions, answers) in read(path).items()
        for question, answer in zip(questions, answers, strict=True)
        if right_arguments(item := _item(group, question, answer)) is not None
    )


def chosen(all_items: Sequence[Item], count: int, seed: int) -> tuple[Item, ...]:
    """By turns from each group, until there are `count`; in the order of `all_items`."""
    groups = [[item for item in all_items if item.group == group] for group in CATEGORIES]
    taken = {item.id for item in islice(by_turns(groups, random.Random(seed)), count)}
    return tuple(item for item in all_items if item.id in taken)


def right_arguments(item: Item) -> dict[str, Any] | None:
    """Arguments that are right, and valid; None where the item's data has none."""
    properties = item.wanted.function.parameters.get("properties", {})
    arguments: dict[str, Any] = {}
    for name, values in item.accepted.items():
        given = (_written(value) for value in values if value != "")
        valid = [value for value in given if name in properties and accepts(properties[name], value)]
        if valid:
            arguments[name] = valid[0]
    right = fits(arguments, item.accepted) and accepts(item.wanted.function.parameters, arguments)
    return arguments if right else None


def _written(accepted: Any) -> Any:
    """An accepted value as an argument: objects in it have lists of accepted values themselves."""
    if isinstance(accepted, list):
        return [_written(value) for value in accepted]
    if not isinstance(accepted, dict):
        return accepted
    firsts = {name: next((v for v in accepted_values(values) if v != ""), "") for name, values in accepted.items()}
    return {name: _written(value) for name, value in firsts.items() if value != ""}


def _item(group: str, question: Mapping[str, Any], answer: Mapping[str, Any]) -> Item:
    ((function, accepted),) = answer["ground_truth"][0].items()
    (messages,) = question["question"]
    return Item(
        id=question["id"],
        group=group,
        messages=tuple(Message.model_validate(message) for message in messages),
        tools=tuple(_tool(described) for described in question["function"]),
        function=tool_name(function),
        accepted=accepted,
    )


def _tool(described: Mapping[str, Any]) -> Tool:
    """`strict`: a model that is forced must keep to all of the schema. Mistral's rules allow no dots in names."""
    name, schema = tool_name(described["name"]), json_schema(described["parameters"])
    return Tool(function=Function(name=name, description=described["description"], parameters=schema, strict=True))


def _length(item: Item) -> int:
    return sum(len(part.model_dump_json()) for part in (*item.messages, *item.tools))
