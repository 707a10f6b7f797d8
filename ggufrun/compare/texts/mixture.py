"""The text that comes with ggufrun: prose, code, JSON and tool calls, French, German, Spanish; and Python's own

What is written for it lies in `data`. Python's documentation and sources are read where they are: enough for 200
chunks. The same Python gives the same text; the report has its hash.
"""

import json
import sysconfig
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from ggufrun.compare.texts.source import Part, Prompt, Source

_WRITTEN: Final = {
    "prose": "prose.txt",
    "code": "code.txt",
    "tools": "tools.txt",
    "French": "french.txt",
    "German": "german.txt",
    "Spanish": "spanish.txt",
}
_SOURCES: Final = ("argparse", "ast", "datetime", "fractions", "heapq", "json.decoder", "statistics", "tempfile")
_MOST: Final = 400_000  # characters of a part: 200 chunks need less of all of them together


@cache
def mixture() -> Source:
    """The packaged text and the packaged prompts."""
    written = tuple(Part(name, _data(file)) for name, file in _WRITTEN.items())
    return Source("packaged mixture", (*written, *_pythons_own()), prompts())


def prompts() -> tuple[Prompt, ...]:
    """Short questions of several kinds, in an order in which the first few are of different ones."""
    read: list[dict[str, Any]] = json.loads(_data("prompts.json"))
    return tuple(Prompt(each["kind"], tuple((role, text) for role, text in each["messages"])) for each in read)


def _pythons_own() -> tuple[Part, ...]:
    """Of a Python without them (an embedded one) nothing."""
    return tuple(
        Part(name, text[:_MOST])
        for name, text in (("Python's documentation", _topics()), ("Python's library", _library()))
        if text
    )


def _topics() -> str:
    try:
        from pydoc_data.topics import topics
    except ImportError:
        return ""
    return "\n\n".join(topics[name] for name in sorted(topics))


def _library() -> str:
    folder = Path(sysconfig.get_path("stdlib"))
    paths = [folder / f"{name.replace('.', '/')}.py" for name in _SOURCES]
    return "\n\n".join(path.read_text(encoding="utf-8") for path in paths if path.is_file())


def _data(name: str) -> str:
    return files(f"{__package__}.data").joinpath(name).read_text(encoding="utf-8").strip()
