"""What a model sees with: its mmproj file, chosen by its header; it is loaded at the first picture"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ggufrun.chat.vision import Vision
from ggufrun.errors import OptionError
from ggufrun.fit.subject import Subject
from ggufrun.llama.pooling import makes_embeddings
from ggufrun.store.projectors import NONE, projector_for
from ggufrun.store.resolve import ResolvedModel
from ggufrun.weights.header import Header
from ggufrun.weights.projectors import TEMPLATED, merge_of, unseen_by


@dataclass(frozen=True, slots=True)
class Sight:
    """`projector` None: the model sees nothing. `note`: why, where an mmproj file lies beside it."""

    projector: Header | None = None
    by_hand: bool = False
    note: str = ""

    @classmethod
    def of(cls, found: ResolvedModel, given: Mapping[str, Any], *, templated: bool = False) -> "Sight":
        """`given`: the user's settings; without `mmproj`, what lies beside the model. `templated`: by their template.

        Raises ModelFileError or OptionError for a file that was given and cannot serve.
        """
        named = given.get("mmproj")
        if makes_embeddings(found.header.metadata):
            if named not in (None, NONE):
                raise OptionError(f"{found.name} makes embeddings and sees no images.", "Leave --mmproj out.")
            return cls()
        projector = projector_for(found, named)
        sight = cls(projector.header, by_hand=named is not None, note=projector.note)
        if sight.projector is None:
            return sight
        why = TEMPLATED if templated else unseen_by(found.header)
        return sight.blinded(found.name, why) if why else sight

    @property
    def path(self) -> str | None:
        return str(self.projector.path) if self.projector is not None else None

    @property
    def vision(self) -> Vision | None:
        header = self.projector
        if header is None:
            return None
        patch, longest = (header.integer(f"clip.vision.{name}") or 0 for name in ("patch_size", "image_size"))
        return Vision(patch, longest, merge_of(header))

    def blinded(self, name: str, why: str = TEMPLATED) -> "Sight":
        """Of a model whose prompts can have no pictures. Raises OptionError where the user meant them to."""
        if self.projector is None:
            return self
        if self.by_hand:
            raise OptionError(f"{name} cannot see images: {why}.", "Leave --mmproj out.")
        return Sight(note=f"images cannot be seen: {why}")

    def bytes(self, found: ResolvedModel) -> int:
        """About what images take when they are used."""
        subject = Subject(found.path, (found.header,), found.name, found.card, self.projector)
        return subject.projector_bytes + subject.picture_bytes
