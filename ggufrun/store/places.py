"""Where models may lie on this machine: our own folders, the Hugging Face cache, LM Studio's and Ollama's."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from ggufrun.store.hub_folder import cache_folder
from ggufrun.store.packaged import packaged_model
from ggufrun.store.stored import StoredModel
from ggufrun.weights.cards import Card, load_cards
from ggufrun.weights.folders import default_data_folder, model_folders


@dataclass(frozen=True, slots=True)
class Places:
    """Folders only; none of them need exist. `cards` are those of our own folders."""

    own: tuple[Path, ...]
    hub: Path
    lm_studio: tuple[Path, ...]
    ollama: tuple[Path, ...]
    cards: tuple[Card, ...] = field(default=(), repr=False)

    @classmethod
    def here(cls, environ: Mapping[str, str], data_folder: Path | None = None) -> Self:
        """Those of this user. Raises OptionError for a faulty card."""
        own = model_folders(data_folder or default_data_folder())
        home = Path.home()
        ollama = (home / ".ollama" / "models", Path("/usr/share/ollama/.ollama/models"))
        chosen = environ.get("OLLAMA_MODELS")
        return cls(
            own=own,
            hub=cache_folder(environ),
            lm_studio=(home / ".lmstudio" / "models", home / ".cache" / "lm-studio" / "models"),
            ollama=(Path(chosen).expanduser(),) if chosen else ollama,
            cards=load_cards(own),
        )

    def models(self) -> list[StoredModel]:
        """All that are here, ours first. Where two answer to one name, the first is meant."""
        return [model for models in self.by_source() for model in models]

    def by_source(self) -> Iterator[Sequence[StoredModel]]:
        """One store after the other, each looked through when it is asked for.

        What knows a store is imported then: most names are found in the first, and a start is quick.
        """
        yield [model for card in self.cards if (model := packaged_model(card))]
        from ggufrun.store.own import own_models

        yield own_models(self.own, self.cards)
        from ggufrun.store.hub_models import hub_models

        yield hub_models(self.hub, self.cards)
        from ggufrun.store.lm_studio import lm_studio_models

        yield lm_studio_models(self.lm_studio, self.cards)
        from ggufrun.store.ollama import ollama_models

        yield ollama_models(self.ollama, self.cards)
