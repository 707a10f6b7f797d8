"""BFCL's descriptions of parameters as JSON schema, one a case. All of the wheel's are in test_bfcl.py"""

from typing import Any

import pytest

from ggufrun.compare.tasks.python_schema import json_schema


@pytest.mark.parametrize(
    ("described", "schema"),
    [
        ({"type": "string", "description": "A name"}, {"type": "string", "description": "A name"}),
        ({"type": "float"}, {"type": "number"}),
        ({"type": "any", "description": "Whatever"}, {"description": "Whatever"}),
        ({"type": "tuple", "items": {"type": "float"}}, {"type": "array", "items": {"type": "number"}}),
        ({"type": "dict"}, {"type": "object"}),
        ({"type": "integer", "optional": True, "format": "x"}, {"type": "integer"}),
        ({"type": "string", "default": None}, {"type": ["string", "null"], "default": None}),
        (
            {"type": "string", "enum": ["a"], "default": None},
            {"type": ["string", "null"], "default": None, "enum": ["a", None]},
        ),
        (
            {"type": "array", "items": {"type": "string"}, "enum": ["a", "b"]},
            {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
        ),
        (
            {"type": "dict", "properties": {"type": {"type": "float"}}, "required": ["type"]},
            {
                "type": "object",
                "required": ["type"],
                "properties": {"type": {"type": "number"}},
                "additionalProperties": False,
            },
        ),
    ],
)
def test_translations(described: dict[str, Any], schema: dict[str, Any]) -> None:
    assert json_schema(described) == schema
