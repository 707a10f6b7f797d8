"""How much context there is room for beside a row, on machines that are described"""

from collections.abc import Callable
from pathlib import Path

import pytest

from ggufrun.compare.results import Role
from ggufrun.compare.run.contender import contenders
from ggufrun.compare.run.memory import Need, Needs
from ggufrun.compare.run.plan import Aims, RowPlan
from ggufrun.fit.machine import Machine, described_machine
from ggufrun.settings import KvType

pytestmark = pytest.mark.process

Shapes = Callable[..., Path]
NOTHING = Machine((), 0, 0, 1.0, "estimated", here=False)


def need(path: Path, aims: Aims, kv_type: KvType = "f16") -> Need:
    (contender,) = contenders([path], path.parent)
    needs = Needs(described_machine(aims.gpu, aims.ram, NOTHING), None, aims)
    found = needs.of(RowPlan("row", contender, kv_type, Role.QUANT))
    assert found is not None
    return found


def test_the_largest_context_is_the_one_beyond_which_it_does_not_fit(shape: Shapes) -> None:
    path = shape("small-24b")
    card = Aims(gpu="24GiB", ram="64GiB")
    most = need(path, card).fits_context
    assert 8192 < most < 262_144
    assert need(path, Aims(context=most, gpu="24GiB", ram="64GiB")).left >= 0
    assert need(path, Aims(context=most + 1024, gpu="24GiB", ram="0.5GiB")).left < 0
    assert need(path, card, "q8_0").fits_context > 1.5 * most


def test_what_is_left_shrinks_with_the_context_that_is_asked_for(shape: Shapes) -> None:
    path = shape("small-24b")
    short, long = (need(path, Aims(context=tokens, gpu="24GiB", ram="64GiB")) for tokens in (4096, 16_384))
    assert short.left > long.left > 0
    assert long.planned > short.planned


def test_where_the_card_has_no_room_for_any_context_that_of_card_and_ram_counts(shape: Shapes) -> None:
    path = shape("small-24b")
    assert need(path, Aims(gpu="8GiB", ram="64GiB")).fits_context == 262_144
    assert need(path, Aims(gpu="4GiB", ram="2GiB")).fits_context == 0
