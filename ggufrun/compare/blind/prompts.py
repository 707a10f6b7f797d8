"""Prompts of a blind test: from a file, or from questions that were asked before"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from ggufrun.errors import OptionError

MOST: Final = 500
_BETWEEN: Final = "---"  # a line of its own between prompts of several lines
_HINT: Final = (
    "Write one prompt a line; or several lines each, with a line of --- between them; or JSON: "
    '["…"], or lines of {"prompt": "…"}.'
)


def read_prompts(path: Path) -> tuple[str, ...]:
    """Of a text file, .json or .jsonl, each prompt once. Raises OptionError."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise OptionError(f"{path}: {error.strerror or error}.", "Give a file that can be read.") from error
    except UnicodeDecodeError as error:
        raise OptionError(f"{path}: not UTF-8 text.", "Save it as UTF-8.") from error
    try:
        found = _by_ending(path.suffix.lower(), text)
    except (ValueError, RecursionError) as error:
        raise OptionError(f"{path}: it is no JSON of prompts ({error}).", _HINT) from error
    prompts = distinct(found)
    if not prompts:
        raise OptionError(f"{path}: there is no prompt in it.", _HINT)
    return prompts


def distinct(prompts: Iterable[str]) -> tuple[str, ...]:
    """Those that say something, each once, in their order; `MOST` at most."""
    return tuple(dict.fromkeys(text for each in prompts if (text := each.strip())))[:MOST]


def _by_ending(ending: str, text: str) -> list[str]:
    if ending == ".json":
        whole = json.loads(text)
        if not isinstance(whole, list):
            raise ValueError("a list is wanted")
        return [_prompt(each) for each in whole]
    lines = text.replace("\r\n", "\n").split("\n")  # not `splitlines`: it parts JSON at U+2028, too
    if ending == ".jsonl":
        return [_prompt(json.loads(line)) for line in lines if line.strip()]
    if not any(line.strip() == _BETWEEN for line in lines):
        return lines
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line.strip() == _BETWEEN:
            blocks.append([])
        else:
            blocks[-1].append(line)
    return ["\n".join(block) for block in blocks]


def _prompt(given: Any) -> str:
    """A text, an object with one, or a conversation: its last question, without what was said before."""
    if isinstance(given, dict) and isinstance(given.get("messages"), list):
        asked = [each for each in given["messages"] if isinstance(each, dict) and each.get("role") == "user"]
        given = asked[-1].get("content") if asked else None
    elif isinstance(given, dict):
        given = given.get("prompt")
    if not isinstance(given, str):
        raise ValueError("an entry has no text in “prompt”")
    return given
