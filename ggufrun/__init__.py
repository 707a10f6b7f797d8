"""ggufrun runs quantized Mistral models on one's own card. `load` is the Python API; the rest is imported by name."""

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from ggufrun.handle import Model
    from ggufrun.settings import EngineSettings, ModelOverrides

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(
    spec: str,
    *,
    chat_template: Path | None = None,
    engine: "EngineSettings | None" = None,
    **options: "Unpack[ModelOverrides]",
) -> "Model":
    """Load `demo`, a path to a .gguf or a card's name, e.g. `load("demo", context=4096, threads=4)`.

    `options` are the fields of `ggufrun.settings.ModelSettings`, `engine` an `EngineSettings`.
    Raises ModelNotFound, ModelFileError, OutOfMemory or OptionError.
    """
    # Imported here, so that `import ggufrun` (and with it `ggufrun --help`) stays fast.
    from ggufrun.handle import Model
    from ggufrun.settings import EngineSettings

    return Model(spec, options, engine or EngineSettings(), chat_template)
