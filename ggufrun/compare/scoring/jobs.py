"""What a scoring process can be asked to do: each kind of job, its files, and what it comes to"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Final

from ggufrun.compare.results import Scores
from ggufrun.compare.scoring import files
from ggufrun.compare.scoring.archive import write_json
from ggufrun.compare.scoring.base import room
from ggufrun.compare.scoring.base_file import BaseReader, BaseWriter
from ggufrun.compare.scoring.choose import choose
from ggufrun.compare.scoring.contexts import ROWS, Contexts
from ggufrun.compare.scoring.decoding import Tick
from ggufrun.compare.scoring.score import Against, Judge, Keeper, score
from ggufrun.compare.scoring.speed import speed
from ggufrun.compare.scoring.write import write
from ggufrun.errors import InputError

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreJob:
    """Against `base`; or as the reference itself, which writes that. `out`: `Scores`.

    `other_attention`: computed in another order, to see what that alone changes. Batches of another shape do not tell:
    on the processor they give the same bits.
    """

    kind: ClassVar[str] = "score"
    tokens: Path
    out: Path
    base: Path | None = None
    write_base: Path | None = None
    batch: int = ROWS
    other_attention: bool = False

    def do(self, contexts: Contexts, tick: Tick) -> None:
        text = files.read_tokens(self.tokens)
        backend = contexts.empty(text.longest, batch=self.batch, other_attention=self.other_attention)
        vocabulary = backend.limits.vocabulary

        def scores(judge: Judge) -> Scores:
            return score(backend, text, judge, batch=self.batch, threads=contexts.threads, tick=tick)

        if self.base is not None:
            with BaseReader(self.base) as base:
                found = scores(Against(base, text, vocabulary))
        elif self.write_base is not None:
            with BaseWriter(self.write_base, text.digest(), vocabulary) as writer:
                keeper = Keeper(writer, room(text.positions))
                found = scores(keeper)
                keeper.finish()
        else:
            raise InputError("A text is scored against a base, or to write one.", "Give one of the two.")
        files.write_scores(self.out, found)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteJob:
    """Greedy answers. `follow`: an earlier `out`, the reference's. `out`: `Written`."""

    kind: ClassVar[str] = "write"
    prompts: Path
    max_tokens: int
    out: Path
    follow: Path | None = None

    def do(self, contexts: Contexts, tick: Tick) -> None:
        prompts = files.read_prompts(self.prompts)
        follow = files.read_written(self.follow) if self.follow else None
        files.write_written(self.out, write(contexts, prompts, self.max_tokens, follow, tick))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChooseJob:
    """`out`: the mean log-probability of each choice of each item."""

    kind: ClassVar[str] = "choose"
    items: Path
    out: Path

    def do(self, contexts: Contexts, tick: Tick) -> None:
        files.write_logp(self.out, choose(contexts, files.read_items(self.items), tick))


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedJob:
    """`out`: JSON, tokens a second of each repetition."""

    kind: ClassVar[str] = "speed"
    out: Path
    pp: int = 512
    tg: int = 128
    depths: tuple[int, ...] = (0,)
    reps: int = 5

    def do(self, contexts: Contexts, tick: Tick) -> None:
        write_json(self.out, speed(contexts, self.pp, self.tg, self.depths, self.reps, tick))


Job = ScoreJob | WriteJob | ChooseJob | SpeedJob

_KINDS: Final[dict[str, type[Job]]] = {kind.kind: kind for kind in (ScoreJob, WriteJob, ChooseJob, SpeedJob)}
_PATHS: Final = {"tokens", "base", "write_base", "prompts", "follow", "items", "out"}


def to_json(job: Job) -> Json:
    return {"kind": job.kind, **{name: str(v) if isinstance(v, Path) else v for name, v in asdict(job).items()}}


def from_json(raw: Json) -> Job:
    """Raises InputError for what is no job."""
    kind = _KINDS.get(raw.get("kind", ""))
    names = {field.name for field in fields(kind)} if kind else set()
    values = {name: value for name, value in raw.items() if name != "kind"}
    if kind is None or not values.keys() <= names:
        raise InputError(f"A scoring process knows no such job: {raw}.", f"There are: {', '.join(_KINDS)}.")
    for name in _PATHS & values.keys():
        values[name] = Path(values[name]) if values[name] else None
    if "depths" in values:
        values["depths"] = tuple(values["depths"])
    return kind(**values)
