"""Faults in files, each on a real file that has it."""

import hashlib
import os
import struct
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from ggufrun.doctor.checksum import check_sums
from ggufrun.doctor.examine import model_section
from ggufrun.doctor.file_check import check_files, check_projector
from ggufrun.doctor.finding import Finding
from ggufrun.errors import ModelFileError
from ggufrun.store.checksum import recorded_sha256
from ggufrun.store.resolve import ResolvedModel, resolve
from ggufrun.weights.cards import Bad, Card
from ggufrun.weights.header import read_header
from tests.doctor.files import with_fields
from tests.store.stores import Stores
from tests.tiny_vision import mmproj
from tests.weights.gguf_bytes import FLOAT32, STRING, UINT32, field, gguf, tensor, text, write

MEDIUM = "mistral3.rope.scaling.yarn_log_multiplier"
ARCHITECTURE = field("general.architecture", STRING, text("llama"))
CONTEXT = field("llama.context_length", UINT32, struct.pack("<I", 8192))
TENSOR = tensor("token_embd.weight", (32, 3), 2, 0)


def small(path: Path, *fields: bytes, weight: bytes = TENSOR) -> ResolvedModel:
    write(path, gguf([ARCHITECTURE, CONTEXT, *fields], [weight], data=512))
    return resolve(str(path))


def found(findings: Iterable[Finding], topic: str) -> Finding:
    return next(finding for finding in findings if finding.topic == topic)


def damage(path: Path) -> Finding:
    with pytest.raises(ModelFileError) as caught:
        resolve(str(path))
    return model_section(caught.value, native=False).findings[0]


def test_a_good_file(tmp_path: Path) -> None:
    findings = list(check_files(small(tmp_path / "good.gguf")))
    assert {finding.level for finding in findings} == {"ok", "note"}
    assert found(findings, "tensors").says == "1 tensors: Q4_0 100.0 %."


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    small(tmp_path / "cut.gguf")
    with (tmp_path / "cut.gguf").open("r+b") as file:
        file.truncate(200)
    finding = damage(tmp_path / "cut.gguf")
    assert (finding.topic, finding.level, "truncated" in finding.says) == ("header", "fault", True)


def test_a_page_that_was_saved_instead(tmp_path: Path) -> None:
    finding = damage(write(tmp_path / "page.gguf", b"<!doctype html><html></html>"))
    assert (finding.level, "HTML page" in finding.says) == ("fault", True)


def test_a_shard_that_is_missing(tmp_path: Path) -> None:
    for number in (0, 1):
        split = [
            field(f"split.{name}", UINT32, struct.pack("<I", value)) for name, value in (("no", number), ("count", 3))
        ]
        data = gguf([ARCHITECTURE, CONTEXT, *split], [TENSOR], data=512)
        write(tmp_path / f"big-{number + 1:05}-of-00003.gguf", data)
    finding = damage(tmp_path / "big-00001-of-00003.gguf")
    assert (finding.topic, finding.level) == ("split set", "fault")
    assert "big-00003-of-00003.gguf" in finding.says


def test_the_sum_of_a_file_in_the_hub_cache(tmp_path: Path) -> None:
    data = gguf([ARCHITECTURE], [TENSOR], data=512)
    right = hashlib.sha256(data).hexdigest()
    link = Stores(tmp_path).hub("owner/name", "model.gguf", data)
    assert recorded_sha256(link) == right
    assert [finding.level for finding in check_sums([link])] == ["ok"]
    link.resolve().write_bytes(data[:-1] + b"\1")
    (finding,) = check_sums([link])
    assert (finding.topic, finding.level, right[:12] in finding.says) == ("sha256", "fault", True)


def test_the_sum_of_ollamas_file(tmp_path: Path) -> None:
    data = b"bytes"
    blob = write(tmp_path / f"sha256-{hashlib.sha256(data).hexdigest()}", data)
    assert found(check_sums([blob]), "sha256").level == "ok"


def test_a_sum_that_nobody_knows(tmp_path: Path) -> None:
    assert found(check_sums([write(tmp_path / "a.gguf", b"bytes")]), "sha256").level == "note"


def carded(path: Path, *bad: Bad) -> ResolvedModel:
    model = resolve(str(path))
    card = Card(name="m", repo="o/n", files="m*.gguf", licence="x", parameters=1, context=1, bad=bad)
    return ResolvedModel(model.path, model.name, card, model.header, model.shards, model.parameters)


def test_a_file_that_is_known_to_be_bad(tmp_path: Path) -> None:
    """As the first files of Mistral Medium 3.5: its shipped card says how they are told."""
    path = tmp_path / "Mistral-Medium-3.5-128B-Q4_K_M.gguf"
    for value, level in ((1.0, "fault"), (0.0, "ok")):
        key = field(MEDIUM, FLOAT32, struct.pack("<f", value))
        assert found(check_files(small(path, key)), "revision").level == level


def test_a_file_from_before_a_day(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    small(path)
    bad = Bad.model_validate_json('{"before": "2026-05-01", "reason": "a wrong scale"}')
    finding = found(check_files(carded(path, bad)), "revision")
    assert finding.level == "note"  # it came today, and nobody knows when it was made
    os.utime(path, (time.time(), 1_600_000_000))
    assert found(check_files(carded(path, bad)), "revision").level == "fault"


def test_projectors(tmp_path: Path) -> None:
    clip = field("general.architecture", STRING, text("clip"))
    good = write(tmp_path / "mmproj-F16.gguf", gguf([clip], [TENSOR], data=512))
    bad = Bad.model_validate_json('{"what": "mmproj", "key": "general.architecture", "value": "clip", "reason": "x"}')
    model = write(tmp_path / "mmproj.gguf", gguf([ARCHITECTURE], [TENSOR], data=512))
    cut = write(tmp_path / "mmproj-cut.gguf", good.read_bytes()[:80])
    header = small(tmp_path / "m.gguf").header
    assert [check_projector(path, header, None).level for path in (model, cut)] == ["fault", "fault"]
    assert check_projector(good, header, carded(tmp_path / "m.gguf", bad).card).level == "fault"
    blind = check_projector(good, header, None)
    assert blind.level == "warning" and "images cannot be seen" in blind.says


def test_the_projector_beside_a_model(tiny_vision: Path, tmp_path: Path) -> None:
    def said() -> list[tuple[str, str]]:
        section = model_section(resolve(str(tmp_path / "model.gguf")), native=False)
        return [(each.level, each.says) for each in section.findings if each.topic == "mmproj"]

    (tmp_path / "model.gguf").symlink_to(tiny_vision / "model.gguf")
    assert said() == []
    mmproj(tmp_path / "mmproj-Q8_0.gguf", text=128)
    ((level, says),) = said()
    assert level == "warning" and "another model" in says
    (tmp_path / "mmproj-F16.gguf").symlink_to(tiny_vision / "mmproj.gguf")
    assert said() == [("ok", "mmproj-F16.gguf is a sound image projector.")]
    (tmp_path / "mmproj-Q8_0.gguf").unlink()
    (tmp_path / "other.gguf").symlink_to(tiny_vision / "model.gguf")
    ((level, says),) = said()
    assert level == "warning" and "may be that of other.gguf" in says


def test_the_projector_that_the_settings_name(
    tiny_vision: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GGUFRUN_HOME", str(tmp_path))
    (tmp_path / "model.gguf").symlink_to(tiny_vision / "model.gguf")
    elsewhere = tmp_path / "projectors"
    elsewhere.mkdir()
    (elsewhere / "sees.gguf").symlink_to(tiny_vision / "mmproj.gguf")
    mmproj(elsewhere / "other.gguf", text=128)

    def said(settings: str) -> tuple[str, str]:
        (tmp_path / "ggufrun.toml").write_text(settings)
        section = model_section(resolve(str(tmp_path / "model.gguf")), native=False)
        ((level, says),) = [
            (each.level, each.says) for each in section.findings if each.topic in ("mmproj", "settings")
        ]
        return level, says

    named = '[models.model]\nmmproj = "projectors/{}.gguf"\n'
    assert said(named.format("sees")) == ("ok", "sees.gguf is a sound image projector.")
    level, says = said(named.format("other"))
    assert level == "fault" and "another model" in says
    level, says = said(named.format("missing"))
    assert level == "fault" and "missing.gguf" in says
    assert said('[defaults]\nmmproj = "none"\n')[0] == "note"
    assert said("[defaults]\nmmprj = 3\n")[0] == "fault"


@pytest.mark.parametrize(
    ("keys", "level"),
    [
        ({}, "ok"),
        ({"freq_base": 0.0}, "fault"),
        ({"scaling.type": "yarn"}, "fault"),
        ({"scaling.type": "yarn", "scaling.factor": 2.0, "scaling.original_context_length": 4096}, "ok"),
        ({"scaling.type": "yarn", "scaling.factor": 64.0, "scaling.original_context_length": 4096}, "warning"),
    ],
)
def test_rope(tmp_path: Path, keys: dict[str, str | float | int], level: str) -> None:
    fields = [field(f"llama.rope.{key}", *packed(value)) for key, value in keys.items()]
    assert found(check_files(small(tmp_path / "rope.gguf", *fields)), "rope").level == level


def packed(value: str | float | int) -> tuple[int, bytes]:
    if isinstance(value, str):
        return STRING, text(value)
    return (FLOAT32, struct.pack("<f", value)) if isinstance(value, float) else (UINT32, struct.pack("<I", value))


def test_tensors_of_a_type_that_nobody_knows(tmp_path: Path) -> None:
    model = small(tmp_path / "new.gguf", weight=tensor("token_embd.weight", (32, 3), 99, 0))
    assert found(check_files(model), "tensors").level == "warning"


def test_a_copy_with_more_metadata_is_whole(tmp_path: Path, tiny_model: Callable[[str], Path]) -> None:
    """The tests' own way of making faulty files changes nothing else."""
    source = tiny_model("llama-tiny")
    copy = with_fields(source, tmp_path / "copy.gguf", CONTEXT.replace(b"llama", b"other"))
    old, new = read_header(source), read_header(copy)
    assert new.tensors == old.tensors
    assert new.file_size - new.data_offset == old.file_size - old.data_offset
