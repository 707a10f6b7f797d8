"""How a model that is no path is written: `NAME`, `NAME:TAG`, `owner/repo:QUANT`. Who has it, others know."""

import re
from dataclasses import dataclass
from typing import Final, Self

_REPO: Final = re.compile(r"(?P<name>\w[\w.-]*/\w[\w.-]*)(?::(?P<tag>[\w.-]+))?")
_NAME: Final = re.compile(r"(?P<name>[^/:\\\s][^/:\\]*)(?::(?P<tag>[\w.-]+))?")
_DEEP: Final = re.compile(
    r"(?P<name>[\w.-]+(?::\d+)?(?:/[\w.-]+){2,})(?::(?P<tag>[\w.-]+))?"
)  # Ollama's, with a registry
_PAGE: Final = re.compile(r"^(?:https?://)?(?:huggingface\.co|hf\.co)/|(?:/(?:tree|blob)/[^:]*)?/?$")


@dataclass(frozen=True, slots=True)
class Notation:
    """`tag` is what stands behind the colon: a quant, or the tag of one of Ollama's models."""

    name: str
    tag: str | None = None

    @classmethod
    def read(cls, text: str) -> Self | None:
        """None for what cannot be meant as a name; a page's address on Hugging Face is one."""
        text = _PAGE.sub("", text.strip())
        for shape in (_REPO, _NAME, _DEEP):
            if match := shape.fullmatch(text):
                return cls(match["name"], match["tag"])
        return None

    @property
    def is_repo(self) -> bool:
        """Whether it has the form of a repository's name on the hub."""
        return self.name.count("/") == 1

    def __str__(self) -> str:
        return f"{self.name}:{self.tag}" if self.tag else self.name
