"""Where huggingface_hub keeps its cache, by the variables that it knows. What lies in it, `hub_cache` knows."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_VARIABLE: Final = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where huggingface_hub keeps its cache under these variables. It need not exist."""
    xdg = environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    home = _expanded(environ.get("HF_HOME") or os.path.join(xdg, "huggingface"), environ)
    chosen = environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    return Path(_expanded(chosen, environ))


def _expanded(text: str, environ: Mapping[str, str]) -> str:
    known = _VARIABLE.sub(lambda match: environ.get(match[1] or match[2], match[0]), os.path.expanduser(text))
    return os.path.expandvars(known) if os.name == "nt" else known  # %NAME% there
