"""What is planned: a model's headers. Its weights may be far away."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ggufrun.settings import EngineSettings, ModelOverrides
from ggufrun.weights.cards import Card
from ggufrun.weights.embeddings import LONGEST, longest_of, makes_embeddings
from ggufrun.weights.header import Header

if TYPE_CHECKING:
    from ggufrun.fit.shape import Shape

DEFAULT_CONTEXT = 16_384  # tokens that a plan goes up to where no card and nobody says


@dataclass(frozen=True)
class Subject:
    """`path` can be measured: a whole file, or a sparse one that is only a header and as long as the whole.

    `scale` is not 1 where only another quant's header is known: weights are that many times as large, about.
    """

    path: Path
    headers: tuple[Header, ...]  # of all files of a split set
    name: str
    card: Card | None = None
    projector: Header | None = None  # of the mmproj that goes with it
    scale: float = 1.0

    @property
    def context(self) -> int:
        """Tokens that a plan goes up to, where nobody asks for more or less."""
        trained = self.headers[0].context_train or (self.card.context if self.card else 0)
        if self.embeds:
            return longest_of(None, trained or LONGEST)
        wanted = (self.card.default_context if self.card else None) or DEFAULT_CONTEXT
        return min(wanted, trained) if trained else wanted

    @property
    def embeds(self) -> bool:
        return makes_embeddings(self.headers[0].metadata)

    def settled(self, context: int) -> int:
        """What becomes of a context that was asked for: an embedding model has no positions that it never saw."""
        trained = self.headers[0].context_train
        return longest_of(context, trained) if self.embeds and trained else context

    @cached_property
    def shape(self) -> "Shape":
        """Raises ModelFileError."""
        from ggufrun.fit.shape import shape_of  # here: what obviously fits needs none

        return shape_of(self.headers, self.scale)

    @property
    def picture_bytes(self) -> int:
        """What encoded pictures take of RAM, at most."""
        if self.projector is None:
            return 0
        from ggufrun.fit.compute import PICTURES

        return PICTURES

    @cached_property
    def projector_bytes(self) -> int:
        """What the mmproj takes beside the model: its weights, and about what it computes with."""
        header = self.projector
        if header is None:
            return 0
        from ggufrun.fit.compute import projector_compute

        width, feed_forward, image, patch = (
            header.integer(f"clip.vision.{key}") or least
            for key, least in (
                ("embedding_length", 1024),
                ("feed_forward_length", 4096),
                ("image_size", 1024),
                ("patch_size", 14),
            )
        )
        return sum(tensor.size or 0 for tensor in header.tensors) + projector_compute(width, feed_forward, image, patch)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user decided; all else is the planner's. A knob is pinned by being there."""

    pinned: ModelOverrides = field(default_factory=ModelOverrides)
    engine: EngineSettings = field(default_factory=EngineSettings)
