"""How a model that is no path is written: `NAME`, `NAME:TAG`, `owner/repo:QUANT`. Who has it, others know."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Self
from urllib.parse import unquote

from ggufrun.weights.naming import long_name

_REPO: Final = re.compile(r"(?P<name>\w[\w.-]*/\w[\w.-]*)(?::(?P<tag>[\w.-]+))?")
_NAME: Final = re.compile(r"(?P<name>[^/:\\\s][^/:\\]*)(?::(?P<tag>[\w.-]+))?")
_DEEP: Final = re.compile(
    r"(?P<name>[\w.-]+(?::\d+)?(?:/[\w.-]+){2,})(?::(?P<tag>[\w.-]+))?"
)  # Ollama's, with a registry
_SITE: Final = re.compile(r"^(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/")
_PAGE: Final = re.compile(
    r"(?P<name>[^/:]+/[^/:]+)/(?P<kind>tree|blob|resolve|raw)/(?P<revision>[^/:]+)(?P<path>/[^:]*)?"
)


@dataclass(frozen=True, slots=True)
class Notation:
    """`tag` is what stands behind the colon: a quant, or the tag of one of Ollama's models.

    `revision` is told by the address of a page only.
    """

    name: str
    tag: str | None = None
    revision: str | None = None

    @classmethod
    def read(cls, text: str) -> Self | None:
        """None for what cannot be meant as a name. The address of a page on Hugging Face is one, and so is a file's."""
        text = _SITE.sub("", text.strip())
        if page := _PAGE.fullmatch(re.split(r"[?#]", text)[0].rstrip("/")):
            if not _REPO.fullmatch(page["name"]):
                return None
            path = unquote(page["path"] or "").strip("/")
            return cls(page["name"], _tag(path, folder=page["kind"] == "tree"), unquote(page["revision"]))
        for shape in (_REPO, _NAME, _DEEP):
            if match := shape.fullmatch(text.rstrip("/")):
                return cls(match["name"], match["tag"])
        return None

    @property
    def is_repo(self) -> bool:
        """Whether it has the form of a repository's name on the hub."""
        return self.name.count("/") == 1

    def __str__(self) -> str:
        return f"{self.name}:{self.tag}" if self.tag else self.name


def _tag(path: str, *, folder: bool) -> str | None:
    """The quant that a repository's file is; a folder is called as a file of its name would be."""
    if not path or not (folder or path.lower().endswith(".gguf")):
        return None
    return long_name(PurePosixPath(path if path.lower().endswith(".gguf") else f"{path}.gguf"))
