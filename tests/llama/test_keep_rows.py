"""Whether kept cells cost running sequences time, as the engine is told."""

from pathlib import Path

import pytest

from ggufrun.llama.backend import LlamaBackend
from ggufrun.settings import FlashAttention, ModelSettings

pytestmark = pytest.mark.model


@pytest.mark.parametrize(("flash", "costs"), [("off", True), ("on", False)])
def test_kept_cells_cost_time_without_flash_attention(demo_path: Path, flash: FlashAttention, costs: bool) -> None:
    backend = LlamaBackend.load(ModelSettings(demo_path, context=256, threads=1, flash_attention=flash))
    try:  # 134.5 million weights; 30 layers of 9 heads, 64 + 64 elements each
        assert backend.keep_rows == (1946 if costs else None)
    finally:
        backend.close()
