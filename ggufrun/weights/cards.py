"""Model cards, `models/*.toml`: what a GGUF cannot say of itself, and where it comes from. To add one, add a file."""

import datetime
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ggufrun.errors import OptionError
from ggufrun.validation import first_problem
from ggufrun.weights.folders import is_projector, shard_of

_FileName = Annotated[str, Field(pattern=r"^[^/\\]+\.gguf$")]  # a name, never a path that leads elsewhere
_Names = Annotated[tuple[str, ...], Field(strict=False)]  # TOML has arrays only
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Part = Literal["model", "mmproj"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Sampling(_Table):
    """The maker's sampling defaults; None leaves the value to the engine."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None

    def numbers(self) -> dict[str, float]:
        """Those that are given."""
        return self.model_dump(exclude_none=True, exclude={"effort"})


class DefaultSampling(Sampling):
    """`effort` has what differs at one reasoning effort."""

    effort: dict[Effort, Sampling] = {}


class Price(_Table):
    """What the hosted model costs, in USD per million tokens."""

    prompt: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    completion: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Bad(_Table):
    """Files that are known to be wrong: those published before a day, or those with a value in their metadata."""

    what: Part = "model"
    before: datetime.date | None = None
    key: str | None = None
    value: str | bool | int | float | None = None
    reason: str  # a sentence that says what is wrong, and what to do

    @model_validator(mode="after")
    def _one_test(self) -> Self:
        if (self.before is None) == (self.key is None) or (self.key is None) != (self.value is None):
            raise ValueError("should have either `before`, or `key` and `value`")
        return self

    def meets(self, metadata: Mapping[str, object], published: datetime.date | None) -> bool:
        """Whether a file is one of them. `published` None: nobody knows the day, and nothing follows from it."""
        if self.before is not None:
            return published is not None and published < self.before
        found = metadata.get(self.key or "")
        return type(found) in (str, bool, int, float) and found == self.value


class Card(_Table):
    """One model. Sizes in tokens; `tokenizer` is mistral-common's version where the GGUF is not to be asked."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    aliases: _Names = ()
    description: str = ""
    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]  # owner/name on Hugging Face
    revision: Annotated[str, Field(pattern=r"^[\w][\w./-]*$")] | None = None  # a branch, tag or commit of it
    files: _FileName  # a pattern, as in *Q4*.gguf, that the names of this model's files match
    mmproj: Annotated[tuple[_FileName, ...], Field(strict=False)] = ()  # patterns of what sees images, best first
    package: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")] | None = None  # a Python package that holds the file
    package_file: _FileName | None = None
    install: str = ""  # how to get the package
    licence: str
    parameters: Annotated[int, Field(gt=0)]
    context: Annotated[int, Field(gt=0)]
    default_context: Annotated[int, Field(gt=0)] | None = None  # what a plan goes up to when nobody says
    tokenizer: Literal["v3", "v7", "v11", "v13", "v15"] | None = None
    efforts: Annotated[tuple[Effort, ...], Field(strict=False)] = ()  # what a v15 model may be told; first: the default
    sampling: DefaultSampling = DefaultSampling()
    price: Price | None = None  # None: nobody hosts it, or no one has looked
    bad: Annotated[tuple[Bad, ...], Field(strict=False)] = ()

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
        return fnmatchcase(name, self.files.lower()) and not is_projector(name)

    def projector_rank(self, name: str) -> int | None:
        """How much a projector of this file name is preferred, 0 the most; None for one that is not this model's."""
        ranks = (rank for rank, pattern in enumerate(self.mmproj) if fnmatchcase(name.lower(), pattern.lower()))
        return next(ranks, None)

    def faults(
        self, part: Part, metadata: Mapping[str, object], published: datetime.date | None = None
    ) -> tuple[Bad, ...]:
        """What is known to be wrong with a file of this model, by its header and the day it was published."""
        return tuple(bad for bad in self.bad if bad.what == part and bad.meets(metadata, published))


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
        tables = (Card, DefaultSampling, Price, Bad)
        known = [key for table in tables for key in table.model_fields]
        raise OptionError(f"{path}: {first_problem(error, known)}", "Correct the card.") from error
    except (OSError, ValueError) as error:  # ValueError: not TOML, or not UTF-8
        raise OptionError(f"{path}: not a readable model card ({error}).", "Correct the card.") from error


def card_called(cards: Sequence[Card], name: str) -> Card | None:
    return next((card for card in cards if card.answers_to(name)), None)


def names_of(cards: Sequence[Card]) -> Iterator[str]:
    for card in cards:
        yield from card.names
