"""The page's own files: style sheet, script, icon, and the form where one logs in."""

from functools import cache
from importlib.resources import files
from pathlib import Path


@cache
def text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def path(name: str) -> Path:
    return Path(str(files(__package__).joinpath(name)))
