"""A factory for the engine's worker that leaves weights as the file has them, as llama.cpp's RPC server does.

Otherwise a processor's weights may be laid out for its own instructions (AMX, CPU_REPACK), which add up differently.
"""

from collections.abc import Callable
from typing import Final

from ggufrun.engine.opened import Opened
from ggufrun.llama import load_params
from ggufrun.llama.open import open_backend
from ggufrun.settings import EngineSettings, ModelSettings
from ggufrun.weights.header import Header

FACTORY: Final = "tests.rpc.plain:open_plain"


def _never(header: Header) -> bool:
    return False


def open_plain(settings: ModelSettings, engine: EngineSettings, progress: Callable[[float], None]) -> Opened:
    vars(load_params)["_extra_buffers_are_safe"] = _never
    return open_backend(settings, engine, progress)
