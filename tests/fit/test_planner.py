"""Plans on machines that do not exist: what must be true of all of them, and the ones that matter most."""

import itertools
import random
from typing import Any

import pytest

from ggufrun.engine.pictures import CACHE_BYTES
from ggufrun.errors import OptionError
from ggufrun.fit.compute import PICTURES
from ggufrun.fit.machine import described_machine
from ggufrun.fit.plan import Plan
from ggufrun.fit.planner import make_plan
from ggufrun.fit.subject import Wishes
from ggufrun.settings import EngineSettings
from tests.fit.planned import GIB, check_room, header_of, machine_of, plan_of, subject_of
from tests.shapes import dense

DESCRIBED = described_machine("8GiB", "32GiB", machine_of())
KINDS = ("ministral-3b", "ministral-14b", "small-24b", "medium-3.5", "small-4", "sliding")


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_that_fits_is_under_the_free_memory(kind: str) -> None:
    random.seed(kind)
    for _ in range(5):
        sizes = [random.choice((4, 6, 8, 11, 12, 16, 24, 32, 48, 80)) for _ in range(random.randint(0, 3))]
        plan = plan_of(kind, machine_of(*sizes, ram=random.choice((16, 32, 64, 128))))
        if plan.fits:
            check_room(plan)
            assert plan.predicted_tok_s is not None and plan.predicted_tok_s > 0
        else:
            assert plan.missing > 0 and plan.predicted_tok_s is None


@pytest.mark.parametrize("kind", ["ministral-14b", "medium-3.5", "small-4"])
def test_more_memory_on_the_gpu_is_never_slower(kind: str) -> None:
    speeds = []
    for size in (4, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 80, 96):
        plan = plan_of(kind, machine_of(size, ram=96), context=8192, kv_type="f16")
        assert plan.fits
        speeds.append(plan.predicted_tok_s or 0)
    assert speeds == sorted(speeds) and speeds[-1] > speeds[0]


def test_more_memory_is_never_less_context() -> None:
    contexts = [plan_of("small-24b", machine_of(size / 4), gpu_layers=41, kv_type="f16") for size in range(64, 73)]
    lengths = [plan.context for plan in contexts if plan.verdict == "fits" and plan.batch == 512]
    assert lengths == sorted(lengths) and lengths[-1] == 16_384 and len(set(lengths)) > 2
    in_ram = [plan_of("ministral-14b", machine_of(ram=ram)).context for ram in (12, 12.5, 13, 14, 16)]
    assert in_ram == sorted(in_ram) and in_ram[0] < in_ram[-1] == 16_384


@pytest.mark.parametrize(
    "pinned",
    [
        {"context": 5000},
        {"context": 40_000},
        {"kv_type": "q4_0"},
        {"gpu_layers": 7},
        {"gpu_layers": 0},
        {"flash_attention": "off"},
        {"override_tensors": (r"blk\.[0-9]\.ffn_.*=CPU",)},
        {"tensor_split": (1.0, 3.0)},
        {"devices": ("CUDA1",)},
        {"threads": 3, "mmap": False},
    ],
    ids=lambda pinned: next(iter(pinned)),
)
@pytest.mark.parametrize("kind", ["ministral-14b", "medium-3.5", "small-4"])
def test_what_is_pinned_stays(kind: str, pinned: dict[str, Any]) -> None:
    plan = plan_of(kind, machine_of(8, 12, ram=96), **pinned)
    for name, value in pinned.items():
        assert plan.overrides[name] == value  # type: ignore[literal-required]
    assert plan.fits
    check_room(plan)
    if pinned.get("flash_attention") == "off":
        assert plan.kv_type == "f16"  # llama.cpp quantizes a cache only with flash attention
    if "context" in pinned:
        assert plan.context == pinned["context"] and "as asked" in " ".join(plan.why)
    if "devices" in pinned:
        assert [use.name for use in plan.devices] == ["CUDA1", "RAM"]


def test_one_pinned_knob_leaves_the_others_free() -> None:
    """gpu_layers "all" is kept by leaving feed-forward networks in RAM, not by giving up."""
    plan = plan_of("ministral-14b", machine_of(6, ram=32), gpu_layers=99, context=16_384, kv_type="f16")
    assert plan.verdict == "offload" and plan.gpu_layers == plan.layers == 41
    assert r"\.ffn_" in plan.overrides["override_tensors"][0]
    check_room(plan)
    shorter = plan_of("ministral-14b", machine_of(11, ram=32), gpu_layers=99)
    assert shorter.verdict == "fits" and shorter.context < 16_384


def test_what_was_asked_for_is_said_to_be_asked_for() -> None:
    roomy = machine_of(24)
    part = plan_of("small-24b", roomy, gpu_layers=5)
    assert "5 of 41 layers" in part.why[0] and part.why[0].endswith("in RAM: as asked.")
    assert "more do not fit" in plan_of("small-24b", machine_of(8), override_tensors=(r"no\.such=CPU",)).why[0]
    assert "as asked" in plan_of("small-24b", roomy, gpu_layers=0).why[0]
    for pinned in (4096, 16_384, 20_000):
        told = plan_of("small-24b", roomy, context=pinned).why[1]
        assert told == f"The context is {pinned:,} tokens, as asked."
        assert plan_of("medium-3.5", roomy, context=pinned).why[1] == told
    coarser = plan_of("small-24b", machine_of(17), context=16_384)
    assert coarser.kv_type == "q8_0" and coarser.why[1] == "The context is 16,384 tokens, as asked."


def test_a_part_that_is_pinned_to_the_gpu_gives_up_nothing_for_being_whole() -> None:
    """It cannot be. And a larger card is never worse."""
    for kind, layers in (("small-24b", 20), ("ministral-14b", 40)):
        plans = [plan_of(kind, machine_of(size / 4, ram=32), gpu_layers=layers) for size in range(22, 64, 2)]
        assert all(plan.verdict == "offload" and plan.gpu_layers == layers for plan in plans)
        assert {(plan.context, plan.batch) for plan in plans} == {(16_384, 512)}
        assert [plan.kv_type for plan in plans] == sorted((plan.kv_type for plan in plans), reverse=True)
        for kv_type in ("q8_0", "f16"):
            lowered = [len(plan.overrides.get("override_tensors", ())) for plan in plans if plan.kv_type == kv_type]
            assert lowered == sorted(lowered, reverse=True) and not lowered[-1]
    tight = plan_of("small-24b", machine_of(24, ram=11.5), gpu_layers=20, kv_type="f16")
    assert 4096 <= tight.context < 16_384
    assert "there is no room for the default of 16,384" in tight.why[1] and "keeps all" not in " ".join(tight.why)


def test_an_embedding_model_has_the_context_that_it_is_loaded_with() -> None:
    for trained, context in ((512, 512), (32_768, 8192)):
        header = header_of("dense", pooling_type=1, context_length=trained)
        subject = subject_of("dense", headers=(header,))
        assert make_plan(subject, machine_of(24), Wishes(), None).overrides["context"] == context
        for asked in (256, 100_000):
            plan = make_plan(subject, machine_of(24), Wishes({"context": asked}), None)
            assert plan.overrides["context"] == min(asked, trained)


@pytest.mark.parametrize(
    "text, words",
    [
        ("ffn=NOPE", "no buffer type is called 'NOPE'. Use one of: CPU, GPU0"),
        ("ffn=CUDA1", "no buffer type is called 'CUDA1'"),
        ("ffn=", "no buffer type is called ''"),
        ("ffn", "names no buffer type"),
        ("ffn(=CPU", "is no regular expression"),
    ],
)
def test_an_override_that_no_load_would_take_is_refused(text: str, words: str) -> None:
    with pytest.raises(OptionError) as caught:
        make_plan(subject_of("dense"), DESCRIBED, Wishes({"override_tensors": (text,)}), None)
    assert words in f"{caught.value.message} {caught.value.hint}"


def test_a_described_gpu_may_be_called_what_it_will_be_called() -> None:
    """What is moved there by name is counted there, though no layer is."""
    for name, on_gpu in (("GPU0", True), ("CUDA0", True), ("CPU", False), ("CUDA_Host", False), ("CPU_REPACK", False)):
        wishes = Wishes({"override_tensors": (f"ffn={name}",), "gpu_layers": 0})
        plan = make_plan(subject_of("dense"), DESCRIBED, wishes, None)
        assert bool(plan.devices[0].weights) is on_gpu, name


def test_all_on_the_gpu_with_the_default_context() -> None:
    plan = plan_of("small-24b", machine_of(24))
    assert (plan.verdict, plan.context, plan.kv_type, plan.gpu_layers) == ("fits", 16_384, "f16", 41)
    assert plan.overrides == {"context": 16_384, "kv_type": "f16", "gpu_layers": 41}
    assert plan.devices[-1].weights == 131_072 * 5120 * 144 // 256  # the token embedding stays in RAM
    assert plan.devices[0].kv == 40 * 2 * 8 * 128 * 2 * 16_384


def test_the_context_becomes_shorter_before_layers_leave_the_gpu() -> None:
    plan = plan_of("small-24b", machine_of(17.3))
    assert plan.verdict == "fits" and 8192 <= plan.context < 16_384 and plan.context % 1024 == 0
    engine = EngineSettings(batch=511)  # as good as the default, but asked for
    longer = plan_of("small-24b", machine_of(17.3), context=plan.context + 1024, kv_type="f16", engine=engine)
    assert plan.kv_type == "f16" and longer.verdict != "fits"


def test_q8_0_is_taken_only_where_it_buys_something() -> None:
    kinds = {size: plan_of("small-24b", machine_of(size)) for size in (16.8, 17.8, 24)}
    assert kinds[24].kv_type == "f16"
    assert kinds[16.8].kv_type == "q8_0" and "q8_0" in " ".join(kinds[16.8].why)
    assert plan_of("small-24b", machine_of(16.8), kv_type="f16").context < kinds[16.8].context


def test_experts_leave_the_gpu_first() -> None:
    plan = plan_of("small-4", machine_of(24, ram=96))
    kept, override = plan.overrides["override_tensors"]
    assert plan.gpu_layers == plan.layers == 37 and override.endswith("_(?:ch|)exps=CPU")
    whole = plan_of("small-4", machine_of(24, ram=96), override_tensors=(kept,))
    assert (plan.predicted_tok_s or 0) > 1.2 * (whole.predicted_tok_s or 0)


def test_a_model_of_experts_reads_only_those_that_it_uses() -> None:
    dense, sparse = (plan_of(kind, machine_of(ram=128)).predicted_tok_s or 0 for kind in ("medium-3.5", "small-4"))
    assert sparse > 10 * dense


def test_several_gpus() -> None:
    plan = plan_of("medium-3.5", machine_of(48, 24, 24, ram=64))
    counts = plan.overrides["tensor_split"]
    assert plan.verdict == "fits" and sum(counts) == plan.gpu_layers == 89 and counts[0] > counts[1]
    check_room(plan)
    alone = plan_of("small-24b", machine_of(24, 24))
    assert alone.overrides["tensor_split"] == (41.0, 0.0)  # one is enough
    fast_second = plan_of("small-24b", machine_of(24, 24, speeds=(300, 900)))
    assert fast_second.overrides["tensor_split"] == (0.0, 41.0)
    assert (plan_of("medium-3.5", machine_of(24, 24)).predicted_tok_s or 0) > (
        plan_of("medium-3.5", machine_of(24)).predicted_tok_s or 0
    )


def test_the_projector_takes_room_on_the_gpu() -> None:
    projector = header_of("ministral-3b", 512)  # any tensors will do
    size = sum(tensor.size or 0 for tensor in projector.tensors)
    seeing = make_plan(subject_of("small-24b", projector=projector), machine_of(24), Wishes(), None)
    assert seeing.devices[0].mmproj > size and seeing.devices[1].mmproj == PICTURES == CACHE_BYTES
    check_room(seeing)
    assert seeing.devices[0].mmproj_known == "estimated" and any(
        "for when images are used" in why for why in seeing.why
    )
    assert not any("images" in why for why in plan_of("small-24b", machine_of(24)).why)
    knobs = [gain.knob for gain in _gained("small-24b", machine_of(17), projector=projector).gains]
    assert "--mmproj none" in knobs


def test_the_projector_shortens_the_context_where_there_is_little_ram() -> None:
    subject = subject_of("ministral-3b", projector=header_of("ministral-3b", 512))
    plans = [make_plan(subject, machine_of(ram=ram / 10), Wishes(), None) for ram in range(80, 92)]
    shorter = [plan.fits for plan in plans if plan.context < subject.context]
    assert shorter[0] is False and shorter[-1] is True and shorter == sorted(shorter)  # none is planned too long
    assert sum(shorter) >= 3


def test_a_smaller_batch_is_the_last_resort_before_ram() -> None:
    sizes = [size / 10 for size in range(150, 172, 2)]
    small = [plan for size in sizes if (plan := plan_of("small-24b", machine_of(size), context=8192)).batch == 128]
    assert small and all(plan.verdict == "fits" and plan.ubatch == 128 for plan in small)
    asked = EngineSettings(batch=256)
    assert all(plan_of("small-24b", machine_of(size), context=8192, engine=asked).batch == 256 for size in sizes)


def test_the_context_becomes_shorter_where_even_ram_is_too_small_for_it() -> None:
    plans = [plan_of("medium-3.5", machine_of(24, ram=ram), kv_type="f16") for ram in (60, 61, 62, 64)]
    contexts = [plan.context for plan in plans if plan.fits]
    assert 4096 <= contexts[0] < 16_384 == contexts[-1] and contexts == sorted(contexts)
    for plan in plans:
        if plan.fits:
            check_room(plan)


def test_a_cache_that_llama_cpp_cannot_quantize_is_left_as_it_is() -> None:
    """Heads of 80 elements are no whole blocks of 32."""
    subject = subject_of("dense", headers=(header_of(dense(heads=8, kv_heads=8, head=80)),))
    tight = make_plan(subject, machine_of(0.3, ram=4), Wishes(), None, gains=True)
    assert tight.kv_type == "f16" and "--kv-type q8_0" not in [gain.knob for gain in tight.gains]


def test_too_large() -> None:
    plan = plan_of("medium-3.5", machine_of(8, ram=32))
    assert plan.verdict == "too large" and not plan.fits and plan.missing > 30 * GIB
    assert "from the disk" in " ".join(plan.why) and plan.predicted_tok_s is None


def test_without_a_gpu_it_fits_in_ram() -> None:
    plan = plan_of("ministral-3b", machine_of(ram=16))
    assert plan.verdict == "fits" and plan.gpu_layers == 0 and plan.ubatch == 128
    assert [use.name for use in plan.devices] == ["RAM"]
    check_room(plan)


def test_another_quant_is_scaled() -> None:
    subject = subject_of("small-24b")
    half = subject_of("small-24b", scale=0.5)
    full, scaled = (make_plan(each, machine_of(24), Wishes(), None) for each in (subject, half))
    weights = [sum(use.weights for use in plan.devices) for plan in (full, scaled)]
    assert weights[1] == pytest.approx(weights[0] / 2, rel=1e-3)
    assert scaled.devices[0].weights_known == "estimated" and full.devices[0].weights_known == "computed"


def test_the_flagship_on_a_24_gb_card_and_64_gb_of_ram() -> None:
    """3 bits a weight: about a third of the layers on the card, and the bound that memory sets is 2 tok/s or so."""
    plan = make_plan(
        subject_of("medium-3.5", scale=62e9 / 79.1e9), machine_of(24, speeds=(1008,)), Wishes(), None, gains=True
    )
    assert plan.verdict == "offload" and 25 <= plan.gpu_layers <= 35 and plan.layers == 89
    assert plan.predicted_tok_s is not None and 1.5 < plan.predicted_tok_s < 2.5
    assert f"{plan.gpu_layers} of 89 layers" in plan.why[0]
    check_room(plan)
    four_bits = plan_of("medium-3.5", machine_of(24, ram=32))
    assert four_bits.verdict == "too large"


def test_gains_are_what_another_plan_would_say() -> None:
    plan = _gained("small-24b", machine_of(10, ram=64), pinned={"kv_type": "f16"})
    effects = {gain.knob: gain.effect for gain in plan.gains}
    other = plan_of("small-24b", machine_of(10, ram=64), kv_type="q8_0")
    assert f"{other.gpu_layers} of 41 layers" in effects["--kv-type q8_0"]
    assert "a smaller quant" in effects
    assert not [gain for gain in _gained("ministral-3b", machine_of(24)).gains if gain.knob == "a smaller quant"]


def _gained(kind: str, machine: object, pinned: dict[str, object] | None = None, **changes: object) -> Plan:
    wishes = Wishes(pinned or {})  # type: ignore[arg-type]
    return make_plan(subject_of(kind, **changes), machine, wishes, None, gains=True)  # type: ignore[arg-type]


def test_all_layers_have_one_place() -> None:
    for sizes, kind in itertools.product(((8,), (12, 8), (6, 6, 6)), ("ministral-14b", "small-4")):
        plan = plan_of(kind, machine_of(*sizes, ram=128))
        assert sum(use.layers for use in plan.devices) == plan.layers
