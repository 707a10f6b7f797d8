"""Mistral Small 4 on GPUs that refuse one of its products: the plan, its words, what is loaded, and what it costs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.gpu.weights import write
from ggufrun.engine.backend import DecodeStatus, Run
from ggufrun.errors import CannotMeasure
from ggufrun.fit import probe
from ggufrun.fit.machine import Machine, described_machine
from ggufrun.fit.plan import Plan
from ggufrun.fit.planner import make_plan
from ggufrun.fit.probe import Probe
from ggufrun.fit.refused import COPIED, DOWN, IN_RAM, refused
from ggufrun.fit.remembered import FOLDER, Remembered, RememberedPlans
from ggufrun.fit.subject import Wishes
from ggufrun.library.plans import plan_json
from ggufrun.llama import devices, library
from ggufrun.llama.backend import LlamaBackend
from ggufrun.llama.load_params import LoadParams
from ggufrun.opening import planning
from ggufrun.opening.measuring import Measuring
from ggufrun.opening.planning import Planning
from ggufrun.settings import EngineSettings, ModelSettings
from ggufrun.store.resolve import resolve
from ggufrun.weights.header import read_header
from tests.fit.planned import check_room, machine_of, plan_of, subject_of

DOWN_BYTES = sum(weight.ram for weight in subject_of("small-4").shape.weights if DOWN.search(weight.name))
ENGINE = EngineSettings(disk_cache=None)


def described(gpu: str, ram: str) -> Machine:
    return described_machine(gpu, ram, machine_of())


def metal(machine: Machine) -> Machine:
    return replace(machine, gpus=tuple(replace(gpu, name=f"MTL{i}") for i, gpu in enumerate(machine.gpus)))


def weights(plan: Plan) -> list[int]:
    return [use.weights for use in plan.devices]


@pytest.mark.parametrize("name", ["CUDA0", "ROCm1", "Vulkan0", "GPU3", "CUDA"])
def test_who_refuses(name: str) -> None:
    assert refused("mistral4", ["CPU", name]) == (IN_RAM,)
    assert refused("mistral3", [name]) == refused("deepseek2", [name]) == ()


def test_who_does_not() -> None:
    assert refused("mistral4", ["CPU", "BLAS", "MTL0", "Metal", "RPC0", "AMX"]) == ()


def test_a_card_with_room_for_all_of_it() -> None:
    """The down matrices are in RAM, and a token reads its share of them there."""
    machine = described("96GiB@1800", "64GiB@80")
    plan, whole = plan_of("small-4", machine), plan_of("small-4", metal(machine))
    assert (plan.verdict, plan.gpu_layers, plan.context, plan.kv_type) == ("offload", 37, 16_384, "f16")
    assert (whole.verdict, whole.gpu_layers) == ("fits", 37) and "override_tensors" not in whole.overrides
    assert plan.overrides["override_tensors"] == (IN_RAM,)
    assert weights(plan) == [weights(whole)[0] - DOWN_BYTES, weights(whole)[1] + DOWN_BYTES]
    check_room(plan)
    slower = DOWN_BYTES * 4 / 128 * (1 / 80e9 - 1 / 1800e9) + 2 * 36 * 20e-6
    assert 1 / (plan.predicted_tok_s or 0) - 1 / (whole.predicted_tok_s or 0) == pytest.approx(slower)
    assert (plan.predicted_tok_s or 0) > 50
    assert plan.why[0] == "All 37 layers are on GPU0, but for parts of their experts."
    assert plan.why[1].startswith("The experts' down matrices of all layers, 29.5 GiB, stay in RAM: llama.cpp has the")
    assert not any("down matrices" in why for why in whole.why)
    told = plan_json(plan)
    assert told["override_tensors"] == [IN_RAM] and f"--override-tensor '{IN_RAM}'" in told["options"]


def test_other_experts_may_have_to_be_in_ram_too() -> None:
    plan = plan_of("small-4", described("24GiB@1008", "64GiB@80"))
    kept, more = plan.overrides["override_tensors"]
    assert kept == IN_RAM and "ffn_(?:up|down|gate|gate_up)" in more and plan.gpu_layers == 37
    assert "the experts of 19 of them stay in RAM" in plan.why[0] and "down matrices of all layers" in plan.why[1]
    check_room(plan)
    assert weights(plan)[0] < 22 << 30 and weights(plan)[1] > DOWN_BYTES + (19 << 30)
    several = plan_of("small-4", described("16GiB@500,12GiB@400", "64GiB@80"))
    assert several.overrides["override_tensors"][0] == IN_RAM and len(several.overrides["tensor_split"]) == 2
    check_room(several)


def test_pinned_layers_keep_it_and_none_need_none() -> None:
    machine = machine_of(96, ram=96)
    some, none = (plan_of("small-4", machine, gpu_layers=layers) for layers in (20, 0))
    assert some.gpu_layers == 20 and some.overrides["override_tensors"] == (IN_RAM,)
    assert some.why[0].endswith("as asked.") and "would copy them" in some.why[1]
    assert "override_tensors" not in none.overrides and not any("down matrices" in why for why in none.why)


def test_nothing_is_given_up_for_being_whole_which_it_cannot_be() -> None:
    plan = plan_of("small-4", machine_of(43.8, ram=96))
    assert plan.context == 16_384 and len(plan.overrides["override_tensors"]) == 2
    nothing = plan_of("small-4", machine_of(0.25, ram=96))  # on the card
    assert nothing.gpu_layers == 0 and "override_tensors" not in nothing.overrides


def test_who_pins_them_to_the_card_is_told_what_it_costs() -> None:
    machine = machine_of(96, ram=96)
    plan, kept = (plan_of("small-4", machine, override_tensors=(text,)) for text in ("ffn_down_exps=CUDA0", IN_RAM))
    assert plan.overrides["override_tensors"] == ("ffn_down_exps=CUDA0",)
    assert plan.why[1].startswith("29.5 GiB of experts' down matrices are copied from CUDA0 to RAM for each token")
    assert f"--override-tensor '{IN_RAM}' keeps them in RAM." in plan.why[1]
    assert DOWN_BYTES / COPIED < 1 / (plan.predicted_tok_s or 0) < DOWN_BYTES / COPIED + 0.02
    assert not any("copied" in why for why in kept.why) and (kept.predicted_tok_s or 0) > 50
    assert plan.devices[-1].compute > DOWN_BYTES // 36  # of one layer, at a time
    part = plan_of("small-4", machine, override_tensors=(r"no\.such=CPU",), gpu_layers=19)
    assert part.devices[0].copied == DOWN_BYTES // 2


def test_where_ram_has_no_room_for_them_they_are_on_the_card_all_the_same() -> None:
    plan = plan_of("small-4", described("96GiB@1800", "24GiB@80"))
    assert plan.fits and plan.verdict == "offload"  # so that a quant with a better place is taken before
    assert "override_tensors" not in plan.overrides and (plan.predicted_tok_s or 0) < 1
    assert plan.why[1].endswith("RAM has no room for them, or they would be there.")
    check_room(plan)


@pytest.mark.parametrize("metals", [False, True])
def test_what_is_measured_has_them_in_ram(metals: bool) -> None:
    asked: list[ModelSettings] = []

    def measure(settings: ModelSettings, engine: EngineSettings) -> Any:
        asked.append(settings)
        raise CannotMeasure("it was enough to be asked")

    machine = replace(machine_of(96, ram=96), here=True)
    make_plan(subject_of("small-4"), metal(machine) if metals else machine, Wishes(), measure)
    assert [settings.override_tensors for settings in asked] == [() if metals else (IN_RAM,)]


@pytest.fixture
def cuda_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a build for CUDA says of itself, for machines without one. What only a card could say is not asked."""
    monkeypatch.setattr(library, "supports_gpu", lambda: True)
    monkeypatch.setattr(devices, "backends", lambda: ["CUDA", "CPU"])


def planning_of(path: Path, home: Path, **given: Any) -> Planning:
    return Planning(str(path), resolve(str(path), home), given, ENGINE, home)


@pytest.mark.usefixtures("cuda_build")
@pytest.mark.parametrize(
    "kind, given, placed",
    [
        ("experts", {}, (IN_RAM,)),
        ("experts", {"gpu_layers": 3}, (IN_RAM,)),
        ("experts", {"gpu_layers": 0}, ()),
        ("experts", {"override_tensors": ("a=CPU",)}, ("a=CPU",)),
        ("dense", {}, ()),
    ],
)
def test_where_no_plan_can_be_made(
    kind: str,
    given: dict[str, Any],
    placed: tuple[str, ...],
    shape: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe, "MODULE", "ggufrun.no_such_module")  # llama.cpp cannot be asked, as on Windows
    assert planning_of(shape(kind), tmp_path, **given).choose().settings.override_tensors == placed


@pytest.mark.usefixtures("cuda_build")
@pytest.mark.parametrize("kind, found", [("experts", False), ("dense", True)])
def test_a_plan_from_before_is_not_used_again(
    kind: str, found: bool, shape: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = {"RAM": 1000}
    with monkeypatch.context() as before:
        before.setattr(planning, "refused", lambda *_: ())
        old = planning_of(shape(kind), tmp_path)
        plain = Remembered.of(ModelSettings(shape(kind), context=4096), 512, free)
        RememberedPlans(tmp_path / FOLDER).keep(old._key(), plain)
        assert old._kept(free) is not None
    assert (planning_of(shape(kind), tmp_path)._kept(free) is not None) is found


def test_the_note_of_a_load_tells_of_copies(tmp_path: Path, shape: Callable[..., Path]) -> None:
    model = resolve(str(shape("small-4")), tmp_path)
    with Measuring() as here:
        here._machine = machine_of(96, ram=96)  # there is none here that could be measured
        pinned = here.planned("small-4", model, {"override_tensors": ("ffn_down_exps=CUDA0",)}, ENGINE)
        ours = here.planned("small-4", model, {}, ENGINE)
    assert "29.5 GiB of experts copied to RAM for each token" in pinned.note and "copied" not in ours.note
    assert ours.overrides["override_tensors"] == (IN_RAM,)


def test_a_model_with_them_in_ram_loads_and_answers(tmp_path: Path) -> None:
    """Random weights, so that a wrong place would show; without a GPU both ways are the same numbers."""
    path = write("experts", tmp_path / "experts.gguf", tekken=False)
    found = []
    for texts in ((), (IN_RAM,)):
        backend = LlamaBackend.load(ModelSettings(path, context=256, override_tensors=texts, threads=1), ENGINE)
        assert backend.decode([Run(0, 0, [1, 5, 9, 30, 7], outputs=1)]) is DecodeStatus.OK
        found.append(np.array(backend.logits(0)))
        backend.close()
    assert np.isfinite(found[0]).all() and found[0].std() > 0
    plain, placed = found
    assert np.allclose(plain, placed, rtol=0.05, atol=0.05 * plain.std())


@pytest.mark.parametrize("kind, extra", [("experts", False), ("dense", True)])
def test_amx_still_gets_none_of_it(
    kind: str, extra: bool, shape: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a processor with AMX says of itself, and a compiler that set its tiles up rightly: this one may have neither.
    monkeypatch.setattr(library, "system_info", lambda: "CPU : AMX_INT8 = 1 | AVX2 = 1")
    monkeypatch.setattr("ggufrun.llama.amx.tiles_are_right", lambda _: True)
    settings = ModelSettings(shape(kind), override_tensors=(IN_RAM,))
    assert LoadParams.for_weights(settings, None, read_header(settings.path)).native.use_extra_bufts is extra


@pytest.mark.process
def test_on_a_gpu(shape: Callable[..., Path]) -> None:
    """Tells when it is no longer so: then no room for a copy is reserved in RAM."""
    if not library.supports_gpu():
        pytest.skip("no GPU, or no llama-cpp-python built for it; with both: pytest tests/fit/test_refused.py -k gpu")
    names = [device.name for device in devices.devices() if not device.is_cpu]
    settings = ModelSettings(shape("small-4"), context=4096)
    with Probe() as here:
        plain, kept = (
            here.measure(replace(settings, override_tensors=texts)).devices["RAM"] for texts in ((), (IN_RAM,))
        )
    one = DOWN_BYTES // 36
    assert kept.weights - plain.weights >= DOWN_BYTES and kept.compute < one
    assert (plain.compute > one) == bool(refused("mistral4", names)), "llama.cpp has changed: see fit/refused.py"
