"""What `[defaults]` of ggufrun.toml says of computing: a comparison has it for all rows alike; nothing else of it"""

from pathlib import Path
from typing import Final, cast

from ggufrun.settings import ModelOverrides
from ggufrun.userconfig import FILE_NAME, load_user_settings

# The context and the KV cache are the rows' own, and adapters are no part of a quant.
_KNOBS: Final = (
    *("threads", "gpu_layers", "flash_attention", "mmap", "mlock"),
    *("devices", "tensor_split", "override_tensors"),
)


def knobs(home: Path) -> ModelOverrides:
    """Raises OptionError for a settings file that cannot be read."""
    written = load_user_settings(home / FILE_NAME).for_model("").model
    return cast(ModelOverrides, {name: written[name] for name in _KNOBS if name in written})
