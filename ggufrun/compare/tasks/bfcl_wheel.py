"""The wheel of PyPI's bfcl-eval, the Berkeley Function Calling Leaderboard: fetched once, read as a zip file

It is never installed: its requirements are many, and pinned. Its data is under the Apache License 2.0.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ggufrun.errors import OptionError

VERSION: Final = "2026.3.23"
CATEGORIES: Final = ("simple_python", "multiple", "live_simple", "live_multiple")
_FILE: Final = f"bfcl_eval-{VERSION}-py3-none-any.whl"
_QUESTIONS: Final = "bfcl_eval/data/BFCL_v4_{}.json"
_ANSWERS: Final = "bfcl_eval/data/possible_answer/BFCL_v4_{}.json"
_PATIENCE_S: Final = 300.0  # the wheel has 1.9 MB

Rows = list[dict[str, Any]]


def wheel(folder: Path) -> Path:
    """The wheel in this folder, fetched with pip if it is not there. Raises OptionError where it cannot be had."""
    path = folder / _FILE
    if not path.exists():
        if importlib.util.find_spec("pip") is None:
            raise _unavailable("this Python has no pip", folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _fetch(path)
        except OSError as error:
            raise _unavailable(f"{folder}: {error.strerror or error}", folder) from error
    return path


def read(path: Path) -> Mapping[str, tuple[Rows, Rows]]:
    """Questions and accepted answers of each category. Raises OptionError for a file that is not this wheel."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                name: (_rows(archive, _QUESTIONS.format(name)), _rows(archive, _ANSWERS.format(name)))
                for name in CATEGORIES
            }
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        reason = f"{path} is not the wheel of bfcl-eval {VERSION}: {error}"
        raise OptionError(reason, "Delete it: it is fetched again.") from error


def _rows(archive: zipfile.ZipFile, member: str) -> Rows:
    return [json.loads(line) for line in archive.read(member).splitlines() if line.strip()]


def _fetch(path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".bfcl-") as folder:
        command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--only-binary=:all:"]
        options = ["--disable-pip-version-check", "--no-input", "--quiet", "--dest", folder]
        try:
            done = subprocess.run(
                [*command, *options, f"bfcl-eval=={VERSION}"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=_PATIENCE_S,
            )
        except subprocess.TimeoutExpired as error:
            raise _unavailable(f"pip took over {_PATIENCE_S:g} s", path.parent) from error
        found = Path(folder) / _FILE
        if done.returncode or not found.exists():
            raise _unavailable((done.stderr.strip().splitlines() or ["pip gave no file"])[-1], path.parent)
        read(found)
        found.replace(path)


def _unavailable(reason: str, folder: Path) -> OptionError:
    hint = f"Put {_FILE} from https://pypi.org/project/bfcl-eval/{VERSION}/ into {folder}, or leave out the task tools."
    return OptionError(f"The items of the task tools cannot be fetched: {reason}.", hint)
