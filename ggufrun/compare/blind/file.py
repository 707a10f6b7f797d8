"""The file of a blind test: from it a test goes on. It holds the answers, the votes and the result"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from ggufrun.compare.blind.outcome import as_json
from ggufrun.compare.blind.trial import BlindTest, Item
from ggufrun.errors import OptionError

VERSION: Final = 1
_VERDICTS: Final = (None, "a", "b", "tie")


def write(path: Path, test: BlindTest) -> None:
    """All of it or nothing: a kill leaves the file as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = {"blind_test": VERSION, "test": asdict(test), "result": as_json(test)}
    part = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        part.write_text(json.dumps(written, ensure_ascii=False, indent=1), encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read(path: Path) -> BlindTest | None:
    """None where there is none. Raises OptionError for a file that is no blind test of ours: it is not written over."""
    try:
        held = json.loads(path.read_bytes())
        if held["blind_test"] != VERSION:
            raise ValueError(f"it is of version {held['blind_test']}, and {VERSION} is known")
        return _test(held["test"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise OptionError(f"{path}: the blind test cannot be read ({error}).", "Move the file away.") from error


def _test(held: Any) -> BlindTest:
    test = BlindTest(**{**held, "items": tuple(map(_item, held["items"]))})
    for item in test.items:
        texts = (item.prompt, item.error, item.a or "", item.b or "")
        if item.verdict not in _VERDICTS or not all(isinstance(each, str) for each in texts):
            raise ValueError("a vote or a text in it is none")
    return test


def _item(held: Any) -> Item:
    return Item(**{**held, "before": tuple((str(role), str(text)) for role, text in held["before"])})
