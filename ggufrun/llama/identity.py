"""What a saved state depends on, as one string: the model's files, its adapters and how the context is made.

Files are known by their size and by samples of their content, so that a copy elsewhere is the same model. Reading all
of a 40 GB file would take longer than the prompts that the cache saves.
"""

import hashlib
import re
from pathlib import Path

from ggufrun.llama import library
from ggufrun.settings import ModelSettings

_ENDS = 1 << 20  # bytes read at each end: the header, and the last tensors
_SAMPLES, _SAMPLE = 32, 16 << 10  # and spread between them
_SPLIT = re.compile(r"-00001-of-(\d{5})\.gguf$")


def state_key(settings: ModelSettings, flash_attention: int) -> str:
    """Equal keys: a state saved by one process is right in another. Raises OSError if a file of the model is gone.

    `flash_attention` is llama.cpp's number for what was settled on, since it decides how values lie in the cache.
    """
    files = [digest(path) for path in split_files(settings.path)]
    loras = [f"lora {digest(lora.path)} {lora.scale}" for lora in settings.loras]
    # What stands for a picture in a state is named by the picture alone, so the encoder is named here.
    vision = [f"mmproj {_digest_or_none(Path(settings.mmproj))}"] if settings.mmproj is not None else []
    cache = f"kv {settings.kv_type} flash {flash_attention}"
    return "\n".join([*files, *loras, *vision, cache, library.version()])


def split_files(first: Path) -> list[Path]:
    """All files of a split set, from the name of its first; else the file alone."""
    match = _SPLIT.search(first.name)
    if match is None:
        return [first]
    stem, count = first.name[: match.start()], match[1]
    return [first.with_name(f"{stem}-{index:05}-of-{count}.gguf") for index in range(1, int(count) + 1)]


def _digest_or_none(path: Path) -> str | None:
    """None where there is no such file: the first picture will say so."""
    try:
        return digest(path)
    except OSError:
        return None


def digest(path: Path) -> str:
    """What a file is known by: its size, its ends and samples between them. Raises OSError."""
    size = path.stat().st_size
    total = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        total.update(file.read(_ENDS))
        for sample in range(_SAMPLES):
            file.seek(sample * size // _SAMPLES)
            total.update(file.read(_SAMPLE))
        file.seek(max(0, size - _ENDS))
        total.update(file.read(_ENDS))
    return total.hexdigest()
