"""Reads `--json-schema`, `--regex` and `--grammar` into a constraint. Whether it can be enforced is chat's to say."""

import json
import re
from pathlib import Path
from typing import Literal

from ggufrun.chat.types import Constraint
from ggufrun.errors import OptionError

# A rule of GBNF is `name ::= …`; of lark `name: …` (`?name`, `!name`, `name.2` and `name[attribute]` are lark too).
_GBNF_RULE = re.compile(r"^\s*[\w-]+\s*::=", re.MULTILINE)
_LARK_RULE = re.compile(r"^\s*(?:[?!]*\w+(?:\.\d+)?(?:\[[^\]]*\])?\s*:(?!:)|%\w+)", re.MULTILINE)


def read_constraint(json_schema: Path | None, regex: str | None, grammar: Path | None) -> Constraint | None:
    """The one constraint that was asked for, or None. Raises `OptionError`; two at once are refused."""
    given = {"--json-schema": json_schema, "--regex": regex, "--grammar": grammar}
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise OptionError(f"{' and '.join(names)} contradict each other.", "Give one of them.")
    if json_schema is not None:
        return Constraint("json_schema", schema=_read_schema(json_schema))
    if regex is not None:
        if not regex:
            raise OptionError("--regex is empty.", "Give an expression that the whole answer must match.")
        return Constraint("regex", source=regex)
    if grammar is not None:
        text = read_text(grammar, "--grammar")
        return Constraint(grammar_kind(grammar, text), source=text)
    return None


def grammar_kind(path: Path, text: str) -> Literal["lark", "gbnf"]:
    """Which notation a grammar file is in: by its ending `.gbnf` or `.lark`, else by its first rule."""
    match path.suffix.lower():
        case ".gbnf":
            return "gbnf"
        case ".lark":
            return "lark"
    if _GBNF_RULE.search(text):
        return "gbnf"
    if _LARK_RULE.search(text):
        return "lark"
    raise OptionError(
        f"--grammar {path}: this is neither GBNF (root ::= …) nor lark (start: …).",
        "Name the file .gbnf or .lark if it is one.",
    )


def read_text(path: Path, flag: str) -> str:
    """A UTF-8 text file that a flag names. Raises `OptionError`."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise OptionError(f"{flag} {path}: {error.strerror or error}.", "Give a text file that can be read.") from error
    except UnicodeDecodeError as error:
        raise OptionError(f"{flag} {path}: not UTF-8 text.", "Save it as UTF-8.") from error
    if not text.strip():
        raise OptionError(f"{flag} {path}: the file is empty.", "Write something into it or drop the flag.")
    return text


def _read_schema(path: Path) -> dict[str, object] | bool:
    text = read_text(path, "--json-schema")
    try:
        schema = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise OptionError(f"--json-schema {path}: not JSON, {error.msg} at {where}.", "Correct it there.") from error
    except RecursionError as error:
        raise OptionError(f"--json-schema {path}: nested too deeply.", "Use $ref instead of nesting.") from error
    if not isinstance(schema, (dict, bool)):
        raise OptionError(f"--json-schema {path}: a schema is a JSON object, true or false.", "Put { } around it.")
    return schema
