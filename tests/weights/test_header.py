"""Good headers: what is read from them, against the gguf package's own reader and at the size of real vocabularies."""

import struct
import time
from pathlib import Path

import gguf
import numpy as np
import pytest

from ggufrun.errors import ModelFileError
from ggufrun.weights.fields import ArrayField, ValueType
from ggufrun.weights.ggml_types import TENSOR_TYPES
from ggufrun.weights.header import read_header
from tests.weights import gguf_bytes as make


@pytest.mark.parametrize("version", [2, 3])
def test_reads_scalars_arrays_and_tensors(tmp_path: Path, version: int) -> None:
    header = read_header(make.write(tmp_path / "m.gguf", make.small(version)))
    assert (header.version, header.architecture, header.context_train) == (version, "llama", 4096)
    assert header.metadata["llama.rope.freq_base"] == 10000.0
    assert header.metadata["tokenizer.ggml.add_bos_token"] is True
    assert header.strings("tokenizer.ggml.tokens") == ["a", "bc", ""]
    assert header.raw_strings("broken") == [b"\xff!"]
    assert header.strings("broken") == ["\ufffd!"]
    assert header.numbers("tokenizer.ggml.token_type").tolist() == [1, 3, -1]
    assert header.numbers("flags").tolist() == [True, False]
    assert [(t.name, t.shape, t.type_name, t.size) for t in header.tensors] == [
        ("token_embd.weight", (32, 3), "Q4_0", 54),
        ("output_norm.weight", (32,), "F32", 128),
    ]
    assert header.parameters == 128
    assert (header.split_count, header.split_no) == (1, 0)


def test_arrays_stay_in_the_file_until_asked_for(tmp_path: Path) -> None:
    header = read_header(make.write(tmp_path / "m.gguf", make.small()))
    field = header.metadata["tokenizer.ggml.tokens"]
    assert isinstance(field, ArrayField)
    assert (field.type, field.length, field.end - field.start) == (ValueType.STRING, 3, 27)


def test_asking_for_what_is_not_there_names_the_key(tmp_path: Path) -> None:
    header = read_header(make.write(tmp_path / "m.gguf", make.small()))
    with pytest.raises(ModelFileError, match=r"it has no tokenizer\.ggml\.merges"):
        header.strings("tokenizer.ggml.merges")
    with pytest.raises(ModelFileError, match="not a list of strings"):
        header.strings("flags")
    with pytest.raises(ModelFileError, match="not a list of numbers"):
        header.numbers("tokenizer.ggml.tokens")
    assert header.text("llama.context_length") is None
    assert header.integer("tokenizer.ggml.add_bos_token") is None


def test_the_file_may_vanish_before_an_array_is_read(tmp_path: Path) -> None:
    path = make.write(tmp_path / "m.gguf", make.small())
    header = read_header(path)
    path.write_bytes(make.small()[:300])
    with pytest.raises(ModelFileError, match="became shorter"):
        header.numbers("flags")
    path.unlink()
    with pytest.raises(ModelFileError, match="no such file"):
        header.strings("tokenizer.ggml.tokens")


def test_tensor_types_match_the_gguf_package() -> None:
    theirs = {kind.value: (kind.name, *sizes) for kind, sizes in gguf.GGML_QUANT_SIZES.items()}
    shared = theirs.keys() & TENSOR_TYPES.keys()
    assert len(shared) >= 30
    assert {number: tuple(TENSOR_TYPES[number]) for number in shared} == {number: theirs[number] for number in shared}


def test_a_large_vocabulary_is_fast(tmp_path: Path) -> None:
    """262,144 tokens and 500,000 merges: stepped over in a fraction of a second, on a busy machine too."""
    tokens, merges = b"".join(make.text(f"{n:06}") for n in range(262_144)), make.text("ab cdef") * 500_000
    fields = [
        make.field("tokenizer.ggml.tokens", make.ARRAY, make.array(make.STRING, 262_144, tokens)),
        make.field("tokenizer.ggml.merges", make.ARRAY, make.array(make.STRING, 500_000, merges)),
        make.field("llama.context_length", make.UINT32, struct.pack("<I", 7)),
    ]
    path = make.write(tmp_path / "m.gguf", make.gguf(fields))
    times = []
    for _ in range(3):
        start = time.process_time()
        header = read_header(path)
        times.append(time.process_time() - start)
    assert header.metadata["llama.context_length"] == 7
    assert min(times) < 0.5
    start = time.process_time()
    assert header.strings("tokenizer.ggml.tokens")[-1] == "262143"
    assert time.process_time() - start < 1.0


@pytest.mark.model
def test_the_demo_model_reads_as_the_gguf_package_reads_it(demo_path: Path) -> None:
    header, reference = read_header(demo_path), gguf.GGUFReader(demo_path)
    ours = {key: value for key, value in header.metadata.items() if not isinstance(value, ArrayField)}
    theirs = {key: field for key, field in reference.fields.items() if not key.startswith("GGUF.")}
    assert set(header.metadata) == set(theirs)
    assert ours == {key: theirs[key].contents() for key in ours}
    for key, value in header.metadata.items():
        if isinstance(value, ArrayField) and value.type is ValueType.STRING:
            assert header.strings(key) == theirs[key].contents()
        elif isinstance(value, ArrayField):
            assert np.array_equal(header.numbers(key), theirs[key].contents())
    assert header.data_offset == reference.data_offset
    assert [(t.name, t.shape, t.type, header.data_offset + t.offset, t.size, t.elements) for t in header.tensors] == [
        (t.name, tuple(t.shape), t.tensor_type, t.data_offset, t.n_bytes, t.n_elements) for t in reference.tensors
    ]
    assert header.parameters == 134_515_008
