"""`ggufrun fit` as a user calls it: in a process of its own, on files that are only headers, and on the fake hub's."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gguf.constants import GGMLQuantizationType as Type

from ggufrun.fit.compute import PICTURES
from ggufrun.weights.header import read_header
from tests import shapes
from tests.hub.fake_hub import FakeHub
from tests.hub.fake_repo import FakeFile
from tests.hub.home import Home
from tests.hub.models import projector
from tests.shapes import ModelShape, Tensor

pytestmark = pytest.mark.process

Shapes = Callable[..., Path]
KEYS = {
    "context", "kv_type", "gpu_layers", "weight_bytes", "kv_bytes", "compute_bytes", "mmproj_bytes", "devices", "fits",
    "predicted_tok_s", "why",
}  # fmt: skip
REPO = "unsloth/Mistral-Medium-3.5-128B-GGUF"
THREE_BITS = {Type.Q4_K: Type.Q3_K, Type.Q6_K: Type.Q4_K}
TWO_BITS = {Type.Q4_K: Type.Q2_K, Type.Q6_K: Type.Q3_K}


def fit(home: Home, *arguments: str) -> dict[str, Any]:
    done = home.ggufrun("fit", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_file_here(home: Home, shape: Shapes) -> None:
    told = fit(home, str(shape("dense")))
    assert told.keys() >= KEYS
    (ram,) = told["devices"]
    assert ram["name"] == "RAM" and ram["weights_known"] == ram["kv_known"] == ram["compute_known"] == "measured"
    assert told["fits"] and told["gpu_layers"] == 0 and told["context"] == 16_384 and told["kv_type"] == "f16"
    assert told["kv_bytes"] == ram["kv_bytes"] == 6 * 2 * 2 * 64 * 2 * 16_384
    assert told["mmproj_bytes"] == 0 and told["predicted_tok_s"] > 0 and all(told["why"])


def test_another_machine(home: Home, shape: Shapes) -> None:
    path = str(shape("small-24b"))
    told = fit(home, path, "--gpu", "12GiB@360,8GiB", "--ram", "64GiB@80", "--context", "8k", "--kv-type", "q8_0")
    assert (told["context"], told["kv_type"]) == (8192, "q8_0")
    assert [device["name"] for device in told["devices"]] == ["GPU0", "GPU1", "RAM"]
    sizes = {name: sum(device[f"{name}_bytes"] for device in told["devices"]) for name in ("weight", "kv", "compute")}
    assert sizes == {name: told[f"{name}_bytes"] for name in sizes}
    for device in told["devices"]:
        assert device["needed_bytes"] == 0 or device["needed_bytes"] + device["margin_bytes"] <= device["free_bytes"]
    assert told["devices"][0]["kv_known"] == "computed" and told["devices"][0]["compute_known"] == "estimated"
    assert sum(told["tensor_split"]) == told["gpu_layers"]


def test_what_the_user_wrote_counts_as_in_a_load(home: Home, shape: Shapes, tmp_path: Path) -> None:
    """What is typed is above it, and the plan says for how many answers at once it is."""
    model = tmp_path / "mine.gguf"
    model.symlink_to(shape("dense"))
    settings = home.folder / "data" / "ggufrun" / "ggufrun.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('[defaults]\ncontext = 3000\nparallel = 3\n[models.mine]\nkv_type = "q8_0"\n')
    told = fit(home, str(model))
    assert (told["context"], told["kv_type"], told["parallel"]) == (3000, "q8_0", 3)
    assert told["options"] == "--context 3000 --kv-type q8_0 --gpu-layers 0 --parallel 3"
    typed = fit(home, str(model), "--context", "2k", "--parallel", "1")
    assert (typed["context"], typed["kv_type"], typed["parallel"]) == (2048, "q8_0", 1)
    settings.write_text("[defaults]\ncontext = 0\n")
    done = home.ggufrun("fit", str(model))
    assert done.returncode == 2 and "ggufrun.toml" in done.stderr


def test_in_words(home: Home, shape: Shapes) -> None:
    done = home.ggufrun("fit", str(shape("small-24b")), "--gpu", "12GiB", "--ram", "64GiB")
    assert done.returncode == 0, done.stderr
    for part in ("DEVICE", "GPU0", "RAM", "KV CACHE", "estimated", "tok/s", "of 41 layers", "--context", "knob"):
        assert part in done.stdout, part
    assert "Wholly on the GPU would be" in done.stdout and "ministral-3" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments, words",
    [
        (
            ("--gpu", "24 bananas"),
            "--gpu cannot be '24 bananas'. Write it as 24GiB,12GiB or 24GiB@1008 (GB/s), or none.",
        ),
        (("--ram", "much"), "--ram cannot be 'much'. Write it as 64GiB or 64GiB@80 (GB/s)."),
        (("--context", "long"), "--context cannot be 'long'"),
    ],
)
def test_options_that_make_no_sense(home: Home, shape: Shapes, arguments: tuple[str, str], words: str) -> None:
    done = home.ggufrun("fit", str(shape("dense")), *arguments)
    assert done.returncode == 2 and words in done.stderr and not done.stdout


def test_files_that_are_no_models(home: Home, tmp_path: Path) -> None:
    (tmp_path / "page.gguf").write_text("<html>")
    projector(tmp_path / "mmproj.gguf")
    for name, words in (("page.gguf", "HTML page"), ("mmproj.gguf", "image projector"), ("none.gguf", "no such file")):
        done = home.ggufrun("fit", str(tmp_path / name))
        assert done.returncode == 2 and words in done.stderr, done.stderr


def test_a_projector_beside_the_file(home: Home, shape: Shapes, tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    model.symlink_to(shape("dense", tekken=True))
    projector(tmp_path / "mmproj-F16.gguf", 512)
    weights = sum(tensor.size or 0 for tensor in read_header(tmp_path / "mmproj-F16.gguf").tensors)
    told = fit(home, str(model), "--gpu", "8GiB")
    gpu, ram = told["devices"]
    assert gpu["mmproj_bytes"] > weights and ram["mmproj_bytes"] == PICTURES
    assert told["mmproj_bytes"] == gpu["mmproj_bytes"] + PICTURES
    assert [device["mmproj_known"] for device in (gpu, ram)] == ["estimated", "estimated"]
    done = home.ggufrun("fit", str(model))
    assert re.search(r"^RAM .* weights and KV and compute measured; images estimated", done.stdout, re.MULTILINE)
    without = fit(home, str(model), "--gpu", "8GiB", "--mmproj", "none")
    assert without["mmproj_bytes"] == 0 and without["options"].endswith("--mmproj none")


def test_a_projector_of_a_model_whose_prompts_have_no_images_is_not_counted(
    home: Home, shape: Shapes, tmp_path: Path
) -> None:
    """As `serve` and `run` do it, which leave it out, or refuse it where it was given."""
    blind = tmp_path / "blind.gguf"
    blind.symlink_to(shape("dense"))
    projector(tmp_path / "mmproj-F16.gguf", 512)
    assert fit(home, str(blind))["mmproj_bytes"] == 0
    done = home.ggufrun("fit", str(blind), "--mmproj", str(tmp_path / "mmproj-F16.gguf"))
    assert done.returncode == 2 and "blind cannot see images: its" in done.stderr


def test_a_projector_given_by_hand(home: Home, shape: Shapes, tmp_path: Path) -> None:
    projector(tmp_path / "eyes.gguf", 512)
    projector(tmp_path / "others.gguf", 64)
    model = str(shape("dense", tekken=True))
    told = fit(home, model, "--gpu", "8GiB", "--mmproj", str(tmp_path / "eyes.gguf"))
    assert told["mmproj_bytes"] > PICTURES and f"--mmproj {tmp_path}/eyes.gguf" in told["options"]
    done = home.ggufrun("fit", model, "--mmproj", str(tmp_path / "others.gguf"))
    assert done.returncode == 2 and "makes embeddings of 64 numbers" in done.stderr


def test_the_flagship_on_the_hub(hub: FakeHub, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 24 GB card and 64 GB of RAM: which quant runs, how, how fast, and what would be wholly on the card."""
    files: dict[str, FakeFile] = {}
    for quant, types in (("UD-Q2_K_XL", TWO_BITS), ("UD-Q3_K_XL", THREE_BITS), ("Q4_K_M", {}), ("Q8_0", None)):
        monkeypatch.setattr(shapes, "KINDS", {"it": lambda types=types: _requantized(types)})
        name = f"Mistral-Medium-3.5-128B-{quant}.gguf"
        files[name] = FakeFile(shapes.write("it", tmp_path / name), f"{len(files):064x}")
    hub.add_repo(REPO, files)
    done = home.ggufrun("fit", "mistral-medium-3.5", "--gpu", "24GiB@1008", "--ram", "64GiB@80", "--context", "16k")
    assert done.returncode == 0, done.stderr
    assert "mistral-medium-3.5:UD-Q2_K_XL" in done.stdout and "Chosen as" in done.stdout
    for other in ("UD-Q3_K_XL", "Q4_K_M"):
        assert re.search(rf"{other}: \d+ of 89 layers on the GPU, .* tok/s", done.stdout), other
    assert re.search(r"Q8_0: does not fit, [\d.]+ GiB are missing", done.stdout)
    layers, speed = re.search(r"(\d+) of 89 layers", done.stdout), re.search(r"at most ([\d.]+) tok/s", done.stdout)
    assert layers and 30 < int(layers[1]) < 60 and speed and 3 < float(speed[1]) < 5
    assert "Wholly on the GPU would be" in done.stdout and "mistral-small-3.2" in done.stdout
    assert hub.sent() < 40 << 20  # headers only
    told = fit(home, "mistral-medium-3.5:UD-Q3_K_XL", "--gpu", "24GiB@1008", "--ram", "64GiB@80")
    assert told["model"] == "mistral-medium-3.5:UD-Q3_K_XL" and told["verdict"] == "offload"
    assert 1.5 < told["predicted_tok_s"] < 3 and 20 < told["gpu_layers"] < 40
    assert told["smaller"]["models"] and told["devices"][0]["weights_known"] == "computed"
    tiny = home.ggufrun("fit", "mistral-medium-3.5", "--gpu", "none", "--ram", "16GiB")
    assert tiny.returncode == 0 and "No quant fits" in tiny.stdout and "does not fit" in tiny.stdout
    assert "Wholly in RAM would be" in tiny.stdout


def _requantized(types: dict[Type, Type] | None) -> ModelShape:
    """The flagship in other types; None: eight bits."""
    shape = shapes.dense(88, 12_288, 96, 8, 128, 28_672)

    def layer(number: int) -> Iterator[Tensor]:
        for tensor in shape.layers(number):
            quantized = tensor.type is not Type.F32
            wanted = Type.Q8_0 if types is None else types.get(tensor.type, tensor.type)
            yield replace(tensor, type=wanted) if quantized else tensor

    return replace(shape, layers=layer)
