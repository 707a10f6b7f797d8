"""Which strings of a JSON schema get examples, and that lengths and neighbours are respected."""

import re
import time
from typing import Any

import pytest

from ggufrun.chat.pattern_examples import pattern_examples


def string(**keywords: Any) -> dict[str, Any]:
    return {"type": "string", **keywords}


def test_every_pattern_of_a_schema_has_an_example() -> None:
    schema = {
        "type": "object",
        "properties": {"pattern": string(pattern="a{2}"), "b": {"anyOf": [string(pattern="b"), {"type": "null"}]}},
        "patternProperties": {"^x-[0-9]$": {"items": [{"$ref": "#/$defs/c"}]}},
        "$defs": {"c": string(pattern="c|dd")},
    }
    assert pattern_examples(schema, {"items": string(pattern="e")}) == (
        "^x-[0-9]$"[1:3] + "0",
        "aa",
        "b",
        "c",
        "dd",
        "e",
    )


@pytest.mark.parametrize("schema", [None, True, {}, [], {"pattern": 5}, {"pattern": "(?=a)"}, {"pattern": ""}, 7])
def test_nothing_to_give_an_example_of(schema: Any) -> None:
    assert pattern_examples(schema) == ()


def test_examples_are_written_as_in_json() -> None:
    assert pattern_examples(string(pattern='"é\\n\\\\"')) == ('\\"é\\n\\\\\\"',)


@pytest.mark.parametrize(
    "pattern", ["[0-9]{2}-[0-9]{2}", "^[a-z]+$", "^INV-.*-[0-9]{4}$", "^v", r"\.pdf$", "^(a|bc*)+$"]
)
@pytest.mark.parametrize(("least", "most"), [(0, 9), (12, 12), (30, 40), (200, 500)])
def test_lengths_are_respected(pattern: str, least: int, most: int) -> None:
    found = pattern_examples(string(pattern=pattern, minLength=least, maxLength=most))
    assert found
    assert all(least <= len(text) <= most for text in found)
    assert any(re.search(pattern, text) for text in found)


@pytest.mark.parametrize("bounds", [{"maxLength": 4}, {"minLength": 513}, {"minLength": 1e300}, {"minLength": 1e400}])
def test_there_is_no_example_of_what_is_too_short_or_too_long(bounds: dict[str, Any]) -> None:
    assert pattern_examples(string(pattern="[0-9]{2}-[0-9]{2}", **bounds)) == ()


def test_patterns_that_stand_together_share_an_example() -> None:
    several = [string(pattern="[0-9]{2}$"), string(pattern="[A-Z]"), string(pattern="^x", minLength=3)]
    assert pattern_examples({"allOf": several})[0] == "xA00"
    assert pattern_examples({"pattern": "-0", "allOf": [string(pattern="b")]})[0] == "-0b"


def test_formats_of_free_text_have_examples() -> None:
    assert pattern_examples(string(format="email"), string(format="date")) == ("a@a.aa",)
    assert pattern_examples(string(format="email", minLength=20)) == ("a" * 15 + "@a.aa",)
    assert pattern_examples(string(format="email", pattern="@x[.]org$")) == ("@x.org",)


def test_half_a_surrogate_pair_is_no_example() -> None:
    assert pattern_examples(string(pattern="\ud800"), string(pattern=r"\uD83D\uDE00")) == ()


def test_large_schemas_take_no_longer_than_they_may() -> None:
    began = time.thread_time()
    assert len(pattern_examples([string(pattern=f"word{i}") for i in range(1000)])) == 64
    assert pattern_examples([string(pattern="[^a]?" * 700 + f"(?=x){i}") for i in range(1000)]) == ()
    assert time.thread_time() - began < 10  # half a second
