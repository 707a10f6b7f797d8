"""Validates schemas and answers with jsonschema. Nothing is fetched.

As a program (`python -m ggufrun.chat.schema_validation`) it reads a schema and then answers, a JSON line each, and
writes for each answer what is wrong with it, "" if nothing is. It is a program because a pattern may take for ever:
Python's `re` keeps all threads waiting meanwhile, and only a process can be ended.
"""

import json
import sys
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Final, TextIO

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError as BadSchema
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import create, validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from ggufrun.chat.schema_pointer import escaped
from ggufrun.chat.schema_references import references
from ggufrun.errors import SchemaError

MEMORY: Final = 2 << 30  # bytes of address space; Python and jsonschema take some hundred MiB of them
_LONGEST: Final = 300  # characters of a reason
_EXACT: Final = 400  # decimal digits before or behind the point; a number beyond is compared as a float


def verify(schema: Any) -> None:
    """Raise SchemaError for a schema that its own metaschema refuses, or with a reference that leads nowhere."""
    kind = _class_for(schema)
    try:
        kind.check_schema(schema)
    except BadSchema as error:
        raise SchemaError(f"{_short(error.message)}.", _pointer(error.absolute_path)) from error
    for each in references(schema):
        if each.target is None:
            raise SchemaError("it points to nothing in the document, and nothing is fetched.", each.pointer)


def wrong(schema: str, answer: str) -> str:
    """What is wrong with an answer, in words; "" if nothing is. Both are JSON; the schema is verified."""
    try:
        value = _parsed(answer)
    except ValueError:
        return "it is not complete JSON"
    given = _parsed(schema)
    # An empty registry: the default one fetches remote references.
    validator: Validator = _class_for(given)(given, registry=Registry())
    try:
        error = best_match(validator.iter_errors(value))
    except (RecursionError, MemoryError, Unresolvable) as problem:
        return f"it could not be checked ({type(problem).__name__})"
    except Exception as problem:  # Python's `re` refuses the schema's pattern, and the like
        return f"it could not be checked ({_short(str(problem))})"
    return "" if error is None else _sentence(error)


_Unknown: Final = create(meta_schema={})


def _class_for(schema: Any) -> type[Validator]:
    version = schema.get("$schema") if isinstance(schema, dict) else None
    if version is None:
        return Draft202012Validator
    found: type[Validator] = validator_for(schema, default=_Unknown)
    if found is _Unknown:
        raise SchemaError("this JSON Schema version is unknown.", "/$schema")
    return found


def _parsed(text: str) -> Any:
    return json.loads(text, parse_float=_number, parse_constant=_refused)


def _number(text: str) -> int | float | Fraction:
    """Exact, so that 0.3 is a multiple of 0.1 as a reader of decimals expects."""
    try:
        exact = Decimal(text)
        if abs(exact.adjusted()) > _EXACT:
            return float(text)
    except InvalidOperation:
        return float(text)
    fraction = Fraction(exact)
    return fraction.numerator if fraction.denominator == 1 else fraction


def _refused(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _sentence(error: ValidationError) -> str:
    where = _pointer(error.absolute_path)
    return f"{where or 'the answer'}: {_short(error.message)} ({_pointer(error.absolute_schema_path)})"


def _pointer(path: Iterable[str | int]) -> str:
    return "".join(f"/{escaped(str(part))}" for part in path)


def _short(text: str) -> str:
    text = " ".join(text.split()).rstrip(".")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _serve(lines: TextIO, out: TextIO) -> None:
    schema = json.loads(lines.readline())
    for line in lines:
        out.write(json.dumps(wrong(schema, json.loads(line))) + "\n")
        out.flush()


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))


if __name__ == "__main__":
    _limit_memory()
    sys.stdout.write('""\n')  # ready
    sys.stdout.flush()
    _serve(sys.stdin, sys.stdout)
