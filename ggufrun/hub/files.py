"""What a repository on the hub holds, as values: its files, and the quants that they make up. Nothing is asked here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import Final

from ggufrun.hub_errors import HubRefused, NoSuchQuant
from ggufrun.weights.naming import long_name

_MOST_BYTES: Final = 200  # of one part of a path; most file systems hold 255, and a partial file's name is longer
_MOST_IN_ALL: Final = 800  # bytes of a path; systems take 1,024 or more, the folders around it included
_FORBIDDEN: Final = frozenset('\\:*?"<>|')  # a drive, another stream of a file, or no name at all on Windows
_DEVICES: Final = re.compile(r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³])(?:\..*)?", re.IGNORECASE)


def is_safe(path: str) -> bool:
    """Whether a repository's file may be written under its name, on any platform, and stays in the folder it is put."""
    parts = path.split("/")
    return all(_is_name(part) for part in parts) and len(path.encode("utf-8")) <= _MOST_IN_ALL


def _is_name(part: str) -> bool:
    return (
        part not in ("", ".", "..")
        and part.isprintable()  # neither control characters nor what turns the direction of writing
        and not _FORBIDDEN.intersection(part)
        and part[-1] not in " ."  # Windows drops them
        and part[0] not in " ~"
        and not _DEVICES.fullmatch(part)
        and len(part.encode("utf-8")) <= _MOST_BYTES
    )


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a repository. `path` is its name there, with / between folders; never one that leads elsewhere."""

    path: str
    size: int  # bytes
    sha256: str | None  # of the content, 64 hex digits; None: not in LFS, and no GGUF worth the name is

    def __post_init__(self) -> None:
        if not is_safe(self.path):
            raise HubRefused(f"The repository's file {self.path[:80]!r} has a name that could lead elsewhere.")

    @property
    def name(self) -> str:
        """Without its folders."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class HubQuant:
    """One quant of a model: a file, or all files of a split set in their order."""

    name: str  # "UD-Q4_K_XL"; where the file's name does not say, its stem. Unlike the others of its repository
    files: tuple[HubFile, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def first(self) -> HubFile:
        """The one that is loaded: llama.cpp finds the others beside it."""
        return self.files[0]


@dataclass(frozen=True, slots=True)
class Listing:
    """A repository at one commit. `quants` from the smallest to the largest, `projectors` (mmproj) likewise."""

    repo: str  # owner/name
    commit: str  # 40 hex digits
    quants: tuple[HubQuant, ...]
    projectors: tuple[HubFile, ...]
    gated: bool
    private: bool
    licence: str  # "" where it does not say
    parameters: int | None  # of the language model, as the hub read them from a GGUF
    modified: str  # ISO 8601 date of the last commit, "" where unknown
    revision: str = "main"  # what was asked for: a branch, a tag or a commit
    notes: tuple[str, ...] = ()  # sentences: which files were left out, and why

    def quant(self, name: str) -> HubQuant:
        """As `find`. Raises NoSuchQuant, which names the nearest first."""
        found = self.find(name)
        if found is None:
            raise NoSuchQuant(self.repo, name, _nearest_first(name, [quant.name for quant in self.quants]))
        return found

    def find(self, name: str) -> HubQuant | None:
        """The one of this name, or else with a file of this long name; upper and lower case alike."""
        spelled = {long_name(PurePosixPath(quant.first.path)).lower(): quant for quant in self.quants}
        spelled |= {quant.name.lower(): quant for quant in self.quants}
        return spelled.get(name.lower())


def _nearest_first(name: str, known: Sequence[str]) -> list[str]:
    spelled = {each.lower(): each for each in known}
    near = get_close_matches(name.lower(), spelled, len(spelled) or 1, cutoff=0.0)
    return [spelled[each] for each in near]
