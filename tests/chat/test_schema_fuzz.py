"""Random schemas of all drafts: what is enforced is valid, what is rewritten means the same, and nothing is impossible
that a value satisfies. A second or two; the slow ones have more than 100,000 pairs of a schema and a value each."""

import json
import random
from collections.abc import Iterator
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from llguidance import LLMatcher
from referencing import Registry
from referencing.exceptions import Unresolvable

from ggufrun.chat.schema_fault import NOTHING
from ggufrun.chat.schema_plan import plan_schema
from ggufrun.chat.schema_references import localised
from ggufrun.chat.schema_report import _bytes, _complaint
from ggufrun.chat.schema_rewrite import rewrite
from ggufrun.chat.schema_validation import verify
from ggufrun.errors import SchemaError
from tests.fuzzed_schemas import VERSIONS, fuzzed_schema, fuzzed_value

VALUES: Final = 30  # for one schema
FORM: Final = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


def judged(seed: int, schemas: int, versions: list[int]) -> Iterator[tuple[Any, list[tuple[Any, bool]]]]:
    """Schemas with values, and whether each is valid."""
    for number in range(schemas):
        rng = random.Random(f"{seed} {number}")
        schema = json.loads(json.dumps(fuzzed_schema(rng, rng.choice(versions))))
        values = [fuzzed_value(rng) for _ in range(VALUES)]
        try:
            verify(schema)
        except SchemaError:
            continue
        if (verdicts := told(schema, values)) is not None:
            yield schema, list(zip(values, verdicts, strict=True))


def told(schema: Any, values: list[Any]) -> list[bool] | None:
    """jsonschema's verdicts; None where it has none: for one, where a reference leads to nothing but itself."""
    try:
        checks = validator_for(schema, default=Draft202012Validator)(schema, registry=Registry())
        return [checks.is_valid(value) for value in values]
    except (RecursionError, Unresolvable):
        return None
    except (TypeError, AttributeError):  # 4.26 stumbles over `additionalItems` beside `items: false`, and the like
        return None
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # of rpds, which does not expect a RecursionError
            return None
        raise


def enforced_pairs(seed: int, schemas: int) -> int:
    count = 0
    # 2019-09 without unevaluatedProperties: jsonschema 4.26 does not count additionalProperties as evaluated there
    for schema, values in judged(seed, schemas, list(VERSIONS)):
        if "2019-09" in schema.get("$schema", "") and "unevaluated" in json.dumps(schema):
            continue
        try:
            plan = plan_schema(json.loads(json.dumps(schema)), _complaint)
        except SchemaError as error:
            assert not (error.reason.startswith(NOTHING) and any(valid for _, valid in values)), schema
            continue
        if plan.refused:
            continue
        body = plan.enforced if isinstance(plan.enforced, dict) else {}
        source = LLMatcher.grammar_from_json_schema(json.dumps({**body, "x-guidance": FORM}))
        matcher = LLMatcher(_bytes(), source)
        for value, valid in values:
            assert valid or not accepts(matcher.deep_copy(), json.dumps(value)), (schema, plan.enforced, value)
            count += 1
    return count


def accepts(matcher: LLMatcher, text: str) -> bool:
    return matcher.try_consume_tokens(list(text.encode())) == len(text.encode()) and matcher.is_accepting()


def rewritten_pairs(seed: int, schemas: int) -> int:
    count = 0
    for schema, values in judged(seed, schemas, [2020]):
        result = rewrite(localised(json.loads(json.dumps(schema))))
        if not result.pointers or "unevaluated" in json.dumps(result.schema):  # the latter are refused
            continue
        after = told(result.schema, [value for value, _ in values])
        for (value, before), now in zip(values, after or (), strict=after is not None):
            assert before == now, (schema, result.schema, value)
            count += 1
    return count


def test_what_is_enforced_is_valid() -> None:
    assert enforced_pairs(3, 250) > 1_000


def test_what_is_rewritten_means_the_same() -> None:
    assert rewritten_pairs(3, 150) > 1_000


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_what_is_enforced_is_valid_at_length() -> None:
    assert enforced_pairs(2, 20_000) > 100_000


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_what_is_rewritten_means_the_same_at_length() -> None:
    assert rewritten_pairs(2, 12_000) > 100_000
