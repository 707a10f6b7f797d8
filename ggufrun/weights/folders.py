"""Where model cards and GGUF files lie on this machine, and how a file's name tells which split set it belongs to."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

_PACKAGE: Final = Path(__file__).parent.parent
_SHARD: Final = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<total>\d{5})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Shard:
    """A split set's file name taken apart: `NAME-00001-of-00003.gguf` is number 1 of 3, stem NAME."""

    stem: str
    number: int
    total: int

    def sibling(self, path: Path, number: int) -> Path:
        return path.with_name(f"{self.stem}-{number:05}-of-{self.total:05}{path.suffix}")


def shard_of(path: PurePath) -> Shard | None:
    """None for a file that is not named as part of a split set."""
    match = _SHARD.fullmatch(path.stem)
    return Shard(match["stem"], int(match["number"]), int(match["total"])) if match else None


def is_projector(name: str) -> bool:
    """Whether a file of this name is what sees images for a model (mmproj), and no model itself."""
    return "mmproj" in name.lower()


def default_data_folder() -> Path:
    """The platform's folder for a user's own cards, files and settings; it need not exist."""
    import platformdirs  # here: the process that computes needs no folders

    return platformdirs.user_data_path("ggufrun", appauthor=False)


def data_folder(environ: Mapping[str, str]) -> Path:
    """GGUFRUN_HOME, else the platform's data folder. It need not exist."""
    home = environ.get("GGUFRUN_HOME", "")
    return Path(os.path.expanduser(home)) if home else default_data_folder()


def model_folders(data_folder: Path) -> tuple[Path, ...]:
    """Folders to look in, the user's own first: what lies there wins over what came with ggufrun."""
    return data_folder / "models", *shipped_folders(_PACKAGE)


def shipped_folders(package: Path) -> tuple[Path, ...]:
    """An installed package carries `models` inside; a checkout has it beside the package."""
    inside, beside = package / "models", package.parent / "models"
    if inside.is_dir():
        return (inside,)
    return (beside,) if (beside / "demo.toml").is_file() else ()
