"""The page's own files: style sheet, script, icon, and the form where one logs in."""

from functools import cache
from importlib.resources import files
from pathlib import Path


@cache
def text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@cache
def together(ending: str) -> str:
    """All files with this ending, each part of the page has its own; page's own come first."""
    names = sorted(each.name for each in files(__package__).iterdir() if each.name.endswith(ending))
    return "\n".join(text(name) for name in sorted(names, key=lambda name: not name.startswith("page.")))


def path(name: str) -> Path:
    return Path(str(files(__package__).joinpath(name)))
