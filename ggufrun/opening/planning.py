"""With which settings a model is loaded: the user's, and for the knobs that they left free a plan's.

Composes the file, the machine and `fit`. Where a model obviously fits, nothing is measured. What becomes of a load is
`starting`'s, and is told here, so that what worked is the first to be tried the next time.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ggufrun.errors import CannotMeasure
from ggufrun.fit.attention import kept_of
from ggufrun.fit.cache import cell_bytes
from ggufrun.fit.ladder import Knobs, Ladder
from ggufrun.fit.refused import refused
from ggufrun.fit.remembered import FOLDER, Remembered, RememberedPlans, key_of
from ggufrun.fit.subject import Subject
from ggufrun.llama import devices, library
from ggufrun.llama.context import DEFAULT_CONTEXT
from ggufrun.llama.hardware import available_memory, total_memory
from ggufrun.llama.pooling import longest_input, makes_embeddings
from ggufrun.opening.seeing import Sight
from ggufrun.opening.workers import gpus_of, with_output_here, workers_of
from ggufrun.settings import EngineSettings, KvType, ModelSettings
from ggufrun.store.resolve import ResolvedModel
from ggufrun.weights.cards import Card
from ggufrun.weights.header import Header

if TYPE_CHECKING:
    from ggufrun.opening.measuring import Measuring

log = logging.getLogger(__name__)

_OBVIOUS: Final = 0.6  # of the free RAM: so much holds weights and KV cache, and what no formula here knows of


@dataclass(frozen=True, slots=True)
class Choice:
    """How a model is loaded, and what may be given up if that fails."""

    settings: ModelSettings
    engine: EngineSettings
    knobs: Knobs
    note: str = ""  # what is less than it would be with memory enough, for the user
    measured: bool = False
    remembered: bool = False
    free: Mapping[str, int] = field(default_factory=dict)  # bytes by device, before it


class Planning:
    """For one model that is to be opened. `given`: what the user set, on the command line or in ggufrun.toml."""

    def __init__(
        self,
        spec: str,
        found: ResolvedModel,
        given: Mapping[str, Any],
        engine: EngineSettings,
        home: Path,
        sight: Sight | None = None,
    ) -> None:
        """`spec`: what the user calls the model. `sight`: what it sees with. Raises OptionError."""
        self._spec, self._found, self._engine = spec, found, engine
        self._sight = sight or Sight()
        self._sight_bytes = self._sight.bytes(found)
        given = with_output_here(given)
        self._settings = ModelSettings(found.path, **{**given, "mmproj": self._sight.path})
        self.workers = workers_of(self._settings.rpc)
        self._pinned = {name: value for name, value in given.items() if value not in (None, "auto")}
        self._plans, self._afresh = RememberedPlans(home / FOLDER), False
        self._embeds = makes_embeddings(found.header.metadata)
        self._context = default_context(found.card, found.header)
        if self._embeds:
            self._context = longest_input(self._settings, trained_context(found.card, found.header))
        self._measuring: Measuring | None = None
        self._abandoned = False
        self._gpu = (library.supports_gpu() or self.workers is not None) and self._settings.gpu_layers != 0
        self._total = {"RAM": total_memory()}  # bytes of the devices that may be used

    def at_once(self) -> Choice | None:
        """What takes no thought: None where a plan must be made."""
        if self._gpu:
            return None
        free = {"RAM": available_memory()}
        plain, kept = self._plain(free), self._kept(free)
        cache = kv_bytes(self._found.header, plain.knobs.context, plain.settings.kv_type)
        needed = self._found.size + cache + self._sight_bytes
        obvious = needed <= _OBVIOUS * free["RAM"]
        # What was planned with less while memory was short is not needed now; what was found by failing is.
        if kept is not None and (kept.given_up or not obvious):
            return self._recalled(kept, free)
        return plain if obvious else None

    def choose(self) -> Choice:
        """May measure, which takes a second or two.

        Raises OutOfMemory where it cannot fit, and the user pinned nothing that says to try all the same, and
        WorkerFault for an RPC worker that cannot be used.
        """
        from ggufrun.opening.measuring import Measuring  # here: most models on a processor need none

        free: Mapping[str, int] = {"RAM": available_memory()}
        self._measuring = Measuring(gpus_of(self.workers, self._settings.rpc_memory))
        if self._abandoned:  # before there was something to end
            self._measuring.close()
        try:
            with self._measuring as here:
                gpus = here.gpus() if self._gpu else {}
                self._gpu = bool(gpus)
                self._total.update(gpus)
                free = {name: count for name, count in here.free().items() if name in self._total}
                kept = self._kept(free)
                return self._recalled(kept, free) if kept is not None else self._planned(here, free)
        except CannotMeasure as error:
            log.info("%s is loaded without a plan: %s", self._found.name, error)
            kept = self._kept(free)
            return self._recalled(kept, free) if kept is not None else self._plain(free)

    def abandon(self) -> None:
        """From another thread: nobody waits for `choose` any more, and it ends soon."""
        self._abandoned = True
        if self._measuring is not None:
            self._measuring.close()

    def worked(self, choice: Choice, ladder: Ladder) -> None:
        """The model is loaded: what it took to find out is kept."""
        if choice.free and (ladder.stepped or choice.measured):
            worked = Remembered.of(ladder.settings, choice.engine.batch, choice.free)
            self._plans.keep(self._key(), replace(worked, given_up=ladder.given_up, note=choice.note))

    def failed(self) -> None:
        """What is remembered did not fit: it is not used again, even where it cannot be removed."""
        self._plans.forget(self._key())
        self._afresh = True

    def _planned(self, here: "Measuring", free: Mapping[str, int]) -> Choice:
        planned = here.planned(self._spec, self._found, self._pinned, self._engine, self._sight.projector)
        settings = {**self._pinned, **planned.overrides, "mmproj": self._sight.path}
        choice = self._choice(ModelSettings(self._found.path, **settings), free)
        engine = replace(self._engine, batch=planned.batch)
        return replace(choice, engine=engine, note=planned.note, measured=True)

    def _plain(self, free: Mapping[str, int]) -> Choice:
        """As it would be with memory enough."""
        context = self._context if self._embeds else self._settings.context or self._context
        placed = self._settings.override_tensors or self._refused()
        return self._choice(replace(self._settings, context=context, override_tensors=placed), free)

    def _kept(self, free: Mapping[str, int]) -> Remembered | None:
        if self._afresh or self._plans.empty:
            return None
        kept = self._plans.find(self._key())
        return kept if kept is not None and kept.suits(free) else None

    def _recalled(self, kept: Remembered, free: Mapping[str, int]) -> Choice:
        choice = self._choice(kept.settings(self._settings), free)
        engine = replace(self._engine, batch=kept.batch)
        return replace(choice, engine=engine, note=kept.given_up or kept.note, remembered=True)

    def _choice(self, settings: ModelSettings, free: Mapping[str, int]) -> Choice:
        layers = kept_of(self._found.header)[0]
        most = len(layers) + 1  # the output is one, as --gpu-layers counts
        knobs = Knobs(
            context=settings.context or self._context,
            gpu_layers=0
            if not self._gpu
            else most
            if settings.gpu_layers == "auto"
            else min(most, settings.gpu_layers),
            quantizable=any(kept.keys for kept in layers),
            # The longest text that a vector can be made of is no matter of memory.
            pinned=(*self._pinned, *(("context", "kv_type") if self._embeds else ())),
        )
        return Choice(settings, self._engine, knobs, free=free)

    def _key(self) -> str:
        engine, pinned = self._engine, sorted({**self._pinned, **self._seen()}.items())
        wanted = (pinned, engine.parallel, engine.batch, engine.cached_sequences, self._context)
        return key_of(self._found.shards, self._total, library.version(), wanted)

    def _seen(self) -> Mapping[str, object]:
        """What a plan has to be made anew for."""
        seen = {"mmproj": self._sight_bytes, "refused": self._refused()}
        return {name: value for name, value in seen.items() if value}

    def _refused(self) -> tuple[str, ...]:
        """What GPUs of this build would not compute with; the devices themselves may not have been asked."""
        return refused(self._found.header.architecture, devices.backends()) if self._gpu else ()


def trained_context(card: Card | None, header: Header) -> int:
    return header.context_train or (card.context if card else DEFAULT_CONTEXT)


def default_context(card: Card | None, header: Header) -> int:
    """What a plan goes up to where the user says nothing, in tokens."""
    return Subject(header.path, (header,), "", card).context


def kv_bytes(header: Header, context: int, kv_type: KvType) -> int:
    """What a KV cache over the whole context takes, at most: windows make it smaller. 0 without attention."""
    return context * sum(cell_bytes(kept, kv_type) for kept in kept_of(header)[0])
