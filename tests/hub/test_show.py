"""`ggufrun show`, against a hub with six quants of one model: sparse files, as large as real ones."""

import json
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest
from gguf.constants import GGMLQuantizationType as Type

from tests import shapes
from tests.hub.fake_hub import FakeHub
from tests.hub.fake_repo import FakeFile
from tests.hub.home import Home, snapshot
from tests.hub.models import projector

pytestmark = pytest.mark.process

REPO: Final = "unsloth/Mistral-Small-3.2-24B-Instruct-2506-GGUF"
CARD: Final = "mistral-small-3.2"
QUANTS: Final = {"IQ1_M": Type.Q2_K, "Q3_K_M": Type.Q3_K, "Q4_K_M": Type.Q4_K, "Q6_K": Type.Q6_K, "Q8_0": Type.Q8_0}
MACHINE: Final = ("--gpu", "20GiB@1008", "--ram", "64GiB@80")
SMALL: Final = shapes.KINDS["small-24b"]


def quantized(kind: Type) -> shapes.ModelShape:
    shape = SMALL()

    def layer(number: int) -> Iterator[shapes.Tensor]:
        for tensor in shape.layers(number):
            yield tensor if tensor.type == Type.F32 else replace(tensor, type=kind)

    return replace(shape, layers=layer)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FakeFile]:
    folder = tmp_path_factory.mktemp("small-24b")
    made: dict[str, FakeFile] = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, kind in QUANTS.items():
            patch.setattr(shapes, "KINDS", {"it": lambda kind=kind: quantized(kind)})
            path = shapes.write("it", folder / f"Mistral-Small-3.2-24B-{name}.gguf")
            made[path.name] = FakeFile(path, sha256(name.encode()).hexdigest())  # nobody fetches them whole
        patch.setattr(shapes, "KINDS", {"it": lambda: quantized(Type.F16)})
        shapes.write("it", folder / "Mistral-Small-3.2-24B-BF16.gguf", shards=2)
    for path in sorted(folder.glob("*-of-*")):
        made[f"BF16/{path.name}"] = FakeFile(path, sha256(path.name.encode()).hexdigest())
    return made


@pytest.fixture
def small(hub: FakeHub, files: dict[str, FakeFile]) -> FakeHub:
    hub.add_repo(REPO, files, licence="apache-2.0", modified="2026-10-01T00:00:00.000Z")
    return hub


def shown(home: Home, *arguments: str, **more: str) -> dict[str, Any]:
    done = home.ggufrun("show", *arguments, "--json", **more)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def verdicts(answer: dict[str, Any]) -> dict[str, str]:
    return {quant["name"]: quant["verdict"] for quant in answer["quants"]}


def test_what_fits_on_a_described_machine(small: FakeHub, home: Home) -> None:
    answer = shown(home, CARD, *MACHINE)
    assert verdicts(answer) == {
        "IQ1_M": "fits", "Q3_K_M": "fits", "Q4_K_M": "fits", "Q6_K": "fits", "Q8_0": "offload", "BF16": "offload",
    }  # fmt: skip
    assert answer["best"] == "Q6_K"
    assert "wholly on the GPU" in answer["why"]
    assert (answer["card"], answer["repo"], answer["licence"], answer["gated"]) == (CARD, REPO, "apache-2.0", False)
    assert answer["modified"] == "2026-10-01"
    by_name = {quant["name"]: quant for quant in answer["quants"]}
    assert by_name["Q6_K"]["exact"]
    assert by_name["Q6_K"]["bits_per_weight"] == pytest.approx(6.56, abs=0.05)
    assert len(by_name["BF16"]["files"]) == 2
    assert by_name["Q8_0"]["predicted_tok_s"] < by_name["Q6_K"]["predicted_tok_s"]


def test_few_requests_and_none_of_them_for_weights(small: FakeHub, home: Home) -> None:
    shown(home, CARD, *MACHINE)
    assert len(small.asked("hub")) == 3  # the list, the middle quant's header and the best one's
    assert small.sent() <= 2 * (12 << 20)
    small.log.clear()
    shown(home, CARD, *MACHINE)
    assert len(small.log) == 1


def test_other_machines_get_other_answers(small: FakeHub, home: Home) -> None:
    assert shown(home, CARD, "--gpu", "12GiB", "--ram", "64GiB")["best"] == "Q3_K_M"
    assert shown(home, CARD, "--gpu", "none", "--ram", "64GiB@400")["best"] in ("Q6_K", "Q8_0")
    nothing = shown(home, CARD, "--gpu", "none", "--ram", "4GiB")
    assert set(verdicts(nothing).values()) == {"too large"}
    assert nothing["best"] is None
    assert any("IQ1_M" in note and "missing" in note for note in nothing["notes"])


def test_the_table(small: FakeHub, home: Home) -> None:
    done = home.ggufrun("show", REPO, *MACHINE)
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert f"{CARD} ({REPO}): apache-2.0, 22.2 billion parameters, 2026-10-01" in done.stdout
    assert "best" in rows["Q6_K"]
    assert "layers on the GPU" in rows["Q8_0"]
    assert rows["Best:"].startswith("Best: Q6_K, the largest that is wholly on the GPU")


def test_this_machine_is_measured(small: FakeHub, home: Home) -> None:
    answer = shown(home, f"{CARD}:iq1_m", "--context", "1024")
    (quant,) = answer["quants"]
    assert (quant["name"], quant["exact"], quant["context"]) == ("IQ1_M", True, 1024)
    assert quant["verdict"] in ("fits", "offload", "too large")


def test_a_gated_repository_is_shown_without_plans(hub: FakeHub, home: Home, files: dict[str, FakeFile]) -> None:
    hub.add_repo(REPO, files, gated=True)
    answer = shown(home, CARD, *MACHINE, HF_TOKEN="hf_stranger")
    assert answer["gated"]
    assert len(answer["quants"]) == 6
    assert set(verdicts(answer).values()) == {None}
    assert any("Ask for access" in note for note in answer["notes"])
    assert shown(home, CARD, *MACHINE, HF_TOKEN="hf_reader")["best"]


def test_what_is_here_already_is_marked(small: FakeHub, home: Home, files: dict[str, FakeFile]) -> None:
    name = "Mistral-Small-3.2-24B-IQ1_M.gguf"
    place = snapshot(home, REPO, small.repos[REPO].revisions["main"].commit)
    place.mkdir(parents=True)
    content = files[name].content
    assert isinstance(content, Path)
    (place / name).symlink_to(content)
    answer = shown(home, CARD, *MACHINE)
    assert [quant["name"] for quant in answer["quants"] if quant["here"]] == ["IQ1_M"]


def test_a_faulty_projector_costs_no_plans(hub: FakeHub, home: Home, tmp_path: Path) -> None:
    seeing = shapes.write("small-24b", tmp_path / "Mistral-Small-3.2-24B-Q4_K_M.gguf", tekken=True)
    model = FakeFile(seeing, sha256(b"seeing").hexdigest())
    hub.add_repo(REPO, {seeing.name: model, "mmproj-F16.gguf": FakeFile(b"<html>no</html>" * 9)})
    answer = shown(home, CARD, *MACHINE)
    assert answer["best"]
    assert any("mmproj-F16.gguf" in note and "not counted" in note for note in answer["notes"])


def test_a_projector_is_not_counted_for_a_model_that_sees_nothing(
    small: FakeHub, home: Home, files: dict[str, FakeFile], tmp_path: Path
) -> None:
    small.add_repo(REPO, {**files, "mmproj-F16.gguf": FakeFile(projector(tmp_path / "mmproj-F16.gguf", 5120))})
    answer = shown(home, CARD, *MACHINE)
    assert answer["best"]
    assert any(note.startswith("Images cannot be seen: ") for note in answer["notes"])


def test_a_repositorys_texts_are_not_obeyed_by_the_terminal(hub: FakeHub, home: Home) -> None:
    hub.add_repo("owner/X", {"\x1b[31mA-Q4_0.gguf": b"GGUF", "[red]B-Q8_0.gguf": b"GGUF"}, licence="\x1b]0;owned\x07")
    done = home.ggufrun("show", "owner/X", *MACHINE)
    assert "\x1b" not in done.stdout + done.stderr
    assert "\x07" not in done.stdout


def test_files_from_before_a_known_fault_was_mended_are_told(hub: FakeHub, home: Home) -> None:
    repo = "unsloth/Mistral-Medium-3.5-128B-GGUF"
    for modified, told in (("2026-04-30T00:00:00.000Z", True), ("2026-06-01T00:00:00.000Z", False)):
        hub.add_repo(repo, {"Mistral-Medium-3.5-128B-Q4_K_M.gguf": b"GGUF" + bytes(99)}, modified=modified)
        notes = shown(home, "mistral-medium-3.5", *MACHINE)["notes"]
        assert any(note.startswith("Known to be wrong") for note in notes) is told


@pytest.mark.parametrize(
    ("arguments", "code", "says", "more"),
    [
        ((f"{CARD}:Q4_K_S",), 2, "There are: Q4_K_M, ", {}),
        (("owner/Nothing",), 2, "no repository 'owner/Nothing'", {}),
        ((CARD, "--revision", "nope"), 2, "no revision 'nope'", {}),
        (("mistral-smal",), 2, "Did you mean", {}),
        (("owner/Empty",), 2, "holds no GGUF model", {}),
        ((CARD, "--mirror", "ftp://x"), 2, "--mirror cannot be", {}),
        ((CARD, "--gpu", "many"), 2, "--gpu cannot be", {}),
        ((CARD,), 1, "Nothing of it is in the cache", {"HF_HUB_OFFLINE": "1"}),
        ((CARD, "--mirror", "http://127.0.0.1:9"), 1, "No answer from http://127.0.0.1:9", {}),
        ((CARD,), 2, "does not know your token", {"HF_TOKEN": "hf_wrong"}),
    ],
)
def test_what_is_the_matter_is_said(
    small: FakeHub, home: Home, arguments: tuple[str, ...], code: int, says: str, more: dict[str, str]
) -> None:
    small.add_repo("owner/Empty", {"model.safetensors": b"x"})
    done = home.ggufrun("show", *MACHINE, *arguments, **more)
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr
    assert "hf_wrong" not in done.stdout + done.stderr
