"""Validates schemas and answers with jsonschema. Nothing is fetched.

As a program (`python -m ggufrun.chat.schema_validation SECONDS`) it writes a line when it is ready, reads a JSON line
[schema, answer], and writes what is wrong with the answer, "" if nothing is. It is a program because a pattern may take
for ever: Python's `re` keeps all threads waiting meanwhile, and only a process can be ended.
"""

import contextlib
import faulthandler
import json
import math
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

MEMORY: Final = 1 << 30  # bytes of address space; Python and jsonschema take 25 MiB of them
GRACE: Final = 1.0  # seconds beyond those that the parent gives: where it is gone, nobody else ends this process
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
    except RecursionError:
        return "it is nested too deeply"
    given = _parsed(schema)
    # An empty registry: the default one fetches remote references.
    validator: Validator = _class_for(given)(given, registry=Registry())
    try:
        error = best_match(validator.iter_errors(value))
    except (RecursionError, MemoryError, Unresolvable) as problem:
        return f"it could not be checked ({type(problem).__name__})"
    except BaseException as problem:  # where this process ends; a panic in rpds is no Exception, a refused pattern is
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
    where, rule = _short(_pointer(error.absolute_path)), _short(_pointer(error.absolute_schema_path))
    return f"{where or 'the answer'}: {_short(error.message)} ({rule})"


def _pointer(path: Iterable[str | int]) -> str:
    return "".join(f"/{escaped(str(part))}" for part in path)


def _short(text: str) -> str:
    text = " ".join(text.split()).rstrip(".")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _serve(lines: TextIO, out: TextIO, seconds: float) -> None:
    _say("", out)  # ready
    if line := lines.readline():
        # A thread in C: it needs no turn of Python's, which a pattern would not give, and every system has it.
        faulthandler.dump_traceback_later(seconds, exit=True)
        schema, answer = json.loads(line)
        _say(wrong(schema, answer), out)


def _say(text: str, out: TextIO) -> None:
    out.write(json.dumps(text) + "\n")
    out.flush()


def _limit(seconds: float) -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    for kind, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, math.ceil(seconds))):
        with contextlib.suppress(ValueError, OSError):  # macOS knows RLIMIT_AS and takes no number for it
            _, hard = resource.getrlimit(kind)
            limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(kind, (limit, limit))


if __name__ == "__main__":
    _lasts = float(sys.argv[1]) + GRACE
    _limit(_lasts)
    _serve(sys.stdin, sys.stdout, _lasts)
