"""Which quant is best: by plans, wherever they come from."""

import pytest

from ggufrun.choosing.choosing import projector_of
from ggufrun.choosing.offers import Offer, best, middle
from ggufrun.errors import InputError
from ggufrun.fit.machine import Gpu, Machine
from ggufrun.fit.plan import DeviceUse, Plan, Verdict
from ggufrun.hub.files import HubFile, HubQuant, Listing
from ggufrun.settings import ModelOverrides
from ggufrun.weights.cards import Card

GB = 10**9
CPU = Machine((), 64 * GB, 60 * GB, 50e9, "measured", here=True)
GPU = Machine((Gpu("CUDA0", "a card", 24 * GB, 23 * GB, 1e12, "estimated"),), 64 * GB, 60 * GB, 50e9, "measured", True)


def quant(name: str, size: int) -> HubQuant:
    return HubQuant(name, (HubFile(f"M-{name}.gguf", size, None),))


def offer(name: str, size: int, verdict: Verdict, tok_s: float | None, context: int = 16_384) -> Offer:
    use = DeviceUse("RAM", size, GB, GB, 0, 60 * GB, 64 * GB, "estimated", "computed", "estimated")
    plan = Plan(context, "f16", 0, 33, 512, ModelOverrides(), (use,), verdict, tok_s, (), ())
    return Offer(quant(name, size), plan, exact=False)


def chosen(machine: Machine, *offers: Offer, trained: int | None = 131_072) -> tuple[str, str]:
    choice = best(offers, machine, trained, "a/M")
    return choice.offer.quant.name, choice.reason


def test_the_largest_that_is_wholly_on_the_gpu() -> None:
    name, reason = chosen(
        GPU,
        offer("Q8_0", 30 * GB, "offload", 9),
        offer("Q4_K_M", 14 * GB, "fits", 60),
        offer("Q5_K_M", 17 * GB, "fits", 50),
    )
    assert name == "Q5_K_M"
    assert "wholly on the GPU" in reason
    assert "16,384" in reason


def test_on_the_gpu_there_must_be_room_for_a_context() -> None:
    offers = (offer("Q4_K_M", 14 * GB, "fits", 60), offer("Q6_K", 19 * GB, "fits", 50, context=4096))
    assert chosen(GPU, *offers)[0] == "Q4_K_M"
    assert chosen(GPU, *offers, trained=4096)[0] == "Q6_K"  # the model has no more


def test_else_the_largest_that_is_not_too_slow_with_a_part_in_ram() -> None:
    offers = (
        offer("Q2_K", 40 * GB, "offload", 6),
        offer("Q3_K_M", 50 * GB, "offload", 3.2),
        offer("Q4_K_M", 70 * GB, "offload", 2.1),
        offer("Q8_0", 120 * GB, "too large", None),
    )
    assert chosen(GPU, *offers)[0] == "Q3_K_M"
    name, reason = chosen(GPU, *offers[2:])
    assert name == "Q4_K_M"
    assert "none makes 3 tokens/s" in reason


def test_without_a_gpu_the_largest_that_makes_five_tokens_a_second() -> None:
    offers = (
        offer("Q2_K", 3 * GB, "fits", 12),
        offer("Q4_K_M", 5 * GB, "fits", 7),
        offer("Q8_0", 9 * GB, "fits", 4),
    )
    assert chosen(CPU, *offers)[0] == "Q4_K_M"
    name, reason = chosen(CPU, offers[2], offer("Q6_K", 8 * GB, "fits", 4.5))
    assert name == "Q6_K"
    assert "the fastest" in reason


def test_sixteen_bits_only_where_nothing_else_is_as_good() -> None:
    full, eight = offer("BF16", 8 * GB, "fits", 90), offer("Q8_0", 4 * GB, "fits", 150)
    assert chosen(GPU, full, eight)[0] == "Q8_0"
    assert chosen(GPU, full, offer("Q4_0", 2 * GB, "fits", 200))[0] == "BF16"
    named_longer = Offer(HubQuant("A-F32", (HubFile("A-F32.gguf", 16 * GB, None),)), full.plan, exact=False)
    assert chosen(GPU, named_longer, eight)[0] == "Q8_0"


def test_what_fits_nowhere_is_said_with_what_is_missing() -> None:
    offers = (offer("Q4_K_M", 70 * GB, "too large", None), offer("Q2_K", 61 * GB, "too large", None))
    # 63 GB and a margin of 3.2, of 60
    with pytest.raises(InputError, match=r"smallest, Q2_K, 5\.8 GiB of memory are missing"):
        best(offers, CPU, None, "a/M")


def test_the_header_that_is_read_is_a_middle_one() -> None:
    quants = [quant("Q2_K", 2), quant("Q4_0", 4), quant("Q8_0", 8), quant("F16", 16), quant("F32", 32)]
    assert middle(quants).name == "Q4_0"
    assert middle(quants[3:]).name == "F32"


def test_the_projector_is_the_cards_or_sixteen_bits() -> None:
    names = ("mmproj-BF16.gguf", "mmproj-F16.gguf", "mmproj-F32.gguf", "mmproj-other.gguf")
    files = tuple(HubFile(name, 1, None) for name in names)
    listing = Listing("a/M", "0" * 40, (), files, False, False, "", None, "")
    card = Card(
        name="m", repo="a/M", files="M*.gguf", mmproj=("mmproj-F32.gguf",), licence="MIT", parameters=1, context=1
    )
    assert projector_of(listing, None) == files[1]
    assert projector_of(listing, card) == files[2]
    assert projector_of(Listing("a/M", "0" * 40, (), (), False, False, "", None, ""), card) is None
