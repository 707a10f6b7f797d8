"""Models that lie on this machine, as values: where each comes from, and its files. Nothing is looked for here."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ggufrun.weights.cards import Card

Source = Literal["models", "package", "hub", "lmstudio", "ollama"]
SOURCES: Final[dict[Source, str]] = {
    "models": "models folder",
    "package": "Python package",
    "hub": "Hugging Face cache",
    "lmstudio": "LM Studio",
    "ollama": "Ollama",
}


@dataclass(frozen=True, slots=True)
class StoredFile:
    """`path` is what to open; `places` are all names of these bytes in the store, where there are several."""

    path: Path
    size: int  # bytes
    checksum: str | None = None  # the sha256 that the bytes should have (64 hex digits), or git's sha1 (40)
    places: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredModel:
    """One model in one quant. `files` are those to load, in their order; `name` is what `ggufrun run` takes."""

    name: str
    source: Source
    files: tuple[StoredFile, ...]
    quant: str = ""  # "" where no name says
    card: Card | None = None
    modified: float = 0.0  # seconds since 1970
    also: tuple[str, ...] = ()  # other names that it answers to
    projectors: tuple[StoredFile, ...] = ()  # that see images for it, beside it in its store
    partial: tuple[int, int] | None = None  # bytes that are here, and of how many; 0: nobody knows
    spec: str = ""  # what `ggufrun pull` takes for it; "" where it does not come from the hub
    folder: Path | None = None  # the part of the store that is this model's or its repository's

    @property
    def path(self) -> Path:
        """What is loaded: llama.cpp finds the others of a split set beside it."""
        return self.files[0].path

    @property
    def size(self) -> int:
        """Bytes of all files together, without projectors; of a partial one what is here."""
        return self.partial[0] if self.partial else sum(file.size for file in self.files)

    def answers_to(self, name: str, tag: str | None) -> bool:
        wanted = name.lower()
        called = [each.lower() for each in (self.name, *self.also)]
        if tag is None:
            return wanted in called or wanted in (each.rpartition(":")[0] for each in called)
        return f"{wanted}:{tag.lower()}" in called


def card_of(cards: Sequence[Card], path: Path, repo: str = "") -> Card | None:
    """The card of a file, by its name or by the repository that it came from."""
    return next((card for card in cards if card.matches(path)), None) or card_of_repo(cards, repo)


def card_of_repo(cards: Sequence[Card], repo: str) -> Card | None:
    """The card whose files are in this repository of the hub: owner/name, or "" where nobody knows."""
    return next((card for card in cards if repo and card.repo.lower() == repo.lower()), None)
