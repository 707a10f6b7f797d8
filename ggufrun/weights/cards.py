"""Model cards, `models/*.toml`: what a GGUF cannot say of itself, and where it comes from. To add one, add a file."""

import tomllib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ggufrun.errors import OptionError
from ggufrun.validation import first_problem
from ggufrun.weights.folders import shard_of

_FileName = Annotated[str, Field(pattern=r"^[^/\\]+\.gguf$")]  # a name, never a path that leads elsewhere
_Names = Annotated[tuple[str, ...], Field(strict=False)]  # TOML has arrays only


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Sampling(_Table):
    """The maker's sampling defaults; None leaves the value to the engine."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None


class Price(_Table):
    """What the hosted model costs, in USD per million tokens."""

    prompt: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    completion: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Card(_Table):
    """One model. Sizes in tokens; `tokenizer` is mistral-common's version where the GGUF is not to be asked."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    aliases: _Names = ()
    description: str = ""
    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]  # owner/name on Hugging Face
    files: _FileName  # a pattern, as in *Q4*.gguf, that the names of this model's files match
    package: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")] | None = None  # a Python package that holds the file
    package_file: _FileName | None = None
    install: str = ""  # how to get the package
    licence: str
    parameters: Annotated[int, Field(gt=0)]
    context: Annotated[int, Field(gt=0)]
    tokenizer: Literal["v3", "v7", "v11", "v13", "v15"] | None = None
    sampling: Sampling = Sampling()
    price: Price | None = None  # None: nobody hosts it, or no one has looked

    @property
    def names(self) -> tuple[str, ...]:
        return self.name, *self.aliases

    @property
    def url(self) -> str:
        return f"https://huggingface.co/{self.repo}"

    def answers_to(self, name: str) -> bool:
        return name.lower() in (known.lower() for known in (*self.names, self.repo))

    def matches(self, path: Path) -> bool:
        """Whether a file of this name belongs to the model; image projectors (mmproj) never do."""
        shard = shard_of(path)
        name = (f"{shard.stem}.gguf" if shard else path.name).lower()
        return fnmatchcase(name, self.files.lower()) and not name.startswith("mmproj")


def load_cards(folders: Sequence[Path]) -> tuple[Card, ...]:
    """The cards of all folders, the first of each name. OptionError names the file and key of a faulty one."""
    cards: dict[str, Card] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.toml")):
            card = read_card(path)
            cards.setdefault(card.name.lower(), card)
    return tuple(cards.values())


def read_card(path: Path) -> Card:
    try:
        return Card.model_validate(tomllib.loads(path.read_text("utf-8")))
    except ValidationError as error:
        raise OptionError(
            f"{path}: {first_problem(error, [*Card.model_fields, *Sampling.model_fields, *Price.model_fields])}",
            "Correct the card.",
        ) from error
    except (OSError, ValueError) as error:  # ValueError: not TOML, or not UTF-8
        raise OptionError(f"{path}: not a readable model card ({error}).", "Correct the card.") from error


def names_of(cards: Sequence[Card]) -> Iterator[str]:
    for card in cards:
        yield from card.names
