"""What of a JSON schema is enforced while generating, for whoever wants to know before asking. Needs no model."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from jsonschema.validators import validator_for
from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from ggufrun.chat.schema_check import Fault
from ggufrun.chat.schema_keywords import ENFORCED
from ggufrun.chat.schema_plan import SchemaPlan, plan_schema
from ggufrun.chat.schema_pointer import at, children, escaped, has, reference
from ggufrun.chat.schema_validation import verify
from ggufrun.errors import SchemaError


@dataclass(frozen=True, slots=True)
class SchemaReport:
    """All pointers are into the schema that was given; a fault's reason is "" where nothing is wrong.

    `usable`: whether it may be asked for at all. `checked`: those of `refused` that a finished answer is checked for.
    """

    usable: bool
    enforced: tuple[Fault, ...] = ()
    rewritten: tuple[Fault, ...] = ()
    refused: tuple[Fault, ...] = ()
    checked: tuple[Fault, ...] = ()

    @property
    def strict(self) -> bool:
        """Whether it may be used with `strict: true`."""
        return self.usable and not self.refused


def schema_report(schema: Any) -> SchemaReport:
    """`schema` is fresh from JSON: its parts have one place. Blocking; takes milliseconds, for a bad schema seconds."""
    try:
        plan = plan_schema(schema, _complaint)
        if plan.refused:
            verify(schema)
    except SchemaError as error:
        return SchemaReport(usable=False, refused=(Fault(error.pointer, error.reason),))
    validators = validator_for(schema).VALIDATORS
    return SchemaReport(
        usable=True,
        enforced=tuple(_enforced(plan, schema)),
        rewritten=tuple(Fault(pointer, "") for pointer in plan.rewritten),
        refused=plan.refused,
        checked=tuple(each for each in plan.refused if each.keyword in validators and each.keyword != "format"),
    )


def _enforced(plan: SchemaPlan, given: Any) -> list[Fault]:
    """The keywords that can be reached and that the client wrote; those that took the place of others are left out."""
    found: list[Fault] = []
    left, seen = [""], set[str]()
    while left:
        pointer = left.pop()
        node = at(plan.enforced, pointer)
        if pointer in seen or not isinstance(node, dict):
            continue
        seen.add(pointer)
        places = [f"{pointer}/{escaped(keyword)}" for keyword in node if keyword in ENFORCED]
        found += [Fault(place, "") for place in places if has(given, place)]
        left += [child for child in list(children(node, pointer))[::-1] if has(given, child)]
        if (target := reference(node)) is not None:
            left.append(target)
    return found


@cache
def _bytes() -> LLTokenizer:
    """A vocabulary of single bytes: what a schema means does not depend on the model."""
    return LLTokenizer("byte")


_LIMITS: Final = LLParserLimits(verbose_errors=False)


def _complaint(schema: Any) -> str:
    source = LLMatcher.grammar_from_json_schema({} if isinstance(schema, bool) else schema)
    bad, messages = LLMatcher.validate_grammar_with_warnings(source, _bytes(), limits=_LIMITS)
    return messages[0] if bad else ""
