"""A ladder of little quants for comparisons, made once and kept: F16, Q8_0 and Q4_0 of one random model"""

from hashlib import sha256
from pathlib import Path

import pytest

from tests.conftest import CACHE

_FILE_TYPES = {"Q8_0": 7, "Q4_0": 2}  # llama.cpp's numbers


@pytest.fixture(scope="session")
def ladder() -> dict[str, Path]:
    """Paths by quant."""
    from tests.llama import quantizable  # here, so that the fast tests need not import gguf

    version = sha256(Path(quantizable.__file__).read_bytes()).hexdigest()[:12]
    source = CACHE / f"ladder-{version}-F16.gguf"
    if not source.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        quantizable.write_wide(source.with_suffix(".part")).replace(source)
    return {"F16": source, **{quant: _quantized(source, quant) for quant in _FILE_TYPES}}


def _quantized(source: Path, quant: str) -> Path:
    from ggufrun.quantizing.process import Quantizer

    path = source.with_name(source.name.replace("F16", quant))
    if not path.is_file():
        unfinished = path.with_suffix(".part")
        question = {"source": str(source), "file_type": _FILE_TYPES[quant], "out": str(unfinished)}
        with Quantizer() as quantizer:
            quantizer.ask({**question, "imatrix": None, "told": {}, "threads": 1})
        unfinished.replace(path)
    return path
