"""A plan over two machines: what lies where, and what goes through the network."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ggufrun.errors import OptionError
from ggufrun.fit.machine import Gpu, Machine
from ggufrun.fit.network import network_of, network_words
from ggufrun.fit.planner import make_plan
from ggufrun.fit.subject import Subject, Wishes
from ggufrun.fit.workers import OUTPUT_HERE, RemoteDevice, keeps_output, with_workers, worker_gpus
from ggufrun.library.wishes import wishes_for
from ggufrun.settings import ModelOverrides
from ggufrun.weights.header import read_header

GIB = 1 << 30


def machine(*gpus: Gpu, ram: int = 32) -> Machine:
    return Machine(gpus, ram * GIB, (ram - 2) * GIB, 50e9, "measured", here=True)


@pytest.mark.parametrize("own_gpu", [False, True])
def test_layers_lie_on_both_and_the_output_is_here(shape: Callable[..., Path], own_gpu: bool) -> None:
    """Mistral Small 24B, 8 GiB there: without a GPU here the output is the processor's, with one it is the GPU's."""
    here = machine(Gpu("CUDA0", "a card", 12 * GIB, 12 * GIB, 400e9, "estimated")) if own_gpu else machine()
    on = with_workers(here, worker_gpus((RemoteDevice("10.0.0.2:50052", 8 * GIB, 8 * GIB),), ()), there=True)
    path = shape("small-24b")
    subject = Subject(path, (read_header(path),), path.stem)
    plan = make_plan(subject, on, Wishes(keeps_output(ModelOverrides(), on)), None)
    there = plan.devices[0]
    assert there.name == "RPC0" and there.layers > 0 and there.fits and plan.fits
    network = network_of(plan, on, subject)
    assert network is not None and network.logits_bytes == 0 and network.borders == 2
    assert network.row_bytes == 5120 * 4 and network.weight_bytes == there.weights
    assert (OUTPUT_HERE in plan.overrides.get("override_tensors", ())) is not own_gpu


def test_an_output_over_there_costs_a_row_of_logits(shape: Callable[..., Path]) -> None:
    on = with_workers(machine(), worker_gpus((), ("48GiB@900",)), there=False)
    assert not on.here and on.gpus[0].bandwidth == 900e9
    path = shape("small-24b")
    subject = Subject(path, (read_header(path),), path.stem)
    elsewhere = ModelOverrides(override_tensors=("^rope_freqs=CPU",))
    network = network_of(make_plan(subject, on, Wishes(keeps_output(elsewhere, on)), None), on, subject)
    assert network is not None and network.logits_bytes == 512 * 4  # of the file's little vocabulary
    assert "a row of logits, 2 kB" in next(network_words(network))


def test_what_a_worker_says_can_be_said_otherwise() -> None:
    found = (RemoteDevice("a:1", 4 * GIB, 8 * GIB), RemoteDevice("b:1", 2 * GIB, 2 * GIB))
    gpus = worker_gpus(found, ("6GiB",))
    assert [(gpu.name, gpu.free // GIB, gpu.description) for gpu in gpus] == [("RPC0", 6, "a:1"), ("RPC1", 2, "b:1")]
    with pytest.raises(OptionError, match="3 sizes for 2 devices"):
        worker_gpus(found, ("1GiB", "1GiB", "1GiB"))
    with pytest.raises(OptionError, match="--rpc-memory cannot be"):
        worker_gpus((), ("much",))


def test_nothing_there_costs_nothing(shape: Callable[..., Path]) -> None:
    path = shape("small-24b")
    subject = Subject(path, (read_header(path),), path.stem)
    plan = make_plan(subject, machine(), Wishes(), None)
    assert network_of(plan, machine(), subject) is None


def test_naming_devices_of_this_machine_leaves_the_others_in(shape: Callable[..., Path]) -> None:
    cards = [Gpu(f"CUDA{number}", "a card", 8 * GIB, 8 * GIB, 400e9, "estimated") for number in range(2)]
    found = (RemoteDevice("a:1", 8 * GIB, 8 * GIB),)
    on = with_workers(machine(*cards), worker_gpus(found, ()), there=True)
    path = shape("small-24b")
    plan = make_plan(
        Subject(path, (read_header(path),), path.stem), on, Wishes(ModelOverrides(devices=("CUDA1",))), None
    )
    assert {use.name for use in plan.devices if use.layers} >= {"RPC0", "CUDA1"}
    assert "CUDA0" not in {use.name for use in plan.devices}


def test_all_layers_there_fit_though_the_output_is_here(shape: Callable[..., Path]) -> None:
    on = with_workers(machine(), worker_gpus((RemoteDevice("a:1", 48 * GIB, 48 * GIB),), ()), there=True)
    path = shape("small-24b")
    subject = Subject(path, (read_header(path),), path.stem)
    assert make_plan(subject, on, Wishes(keeps_output(ModelOverrides(), on)), None).verdict == "fits"


def test_workers_count_only_where_they_are_asked_for() -> None:
    """The library's own plans are for this machine, whatever a user's settings name."""
    written = ModelOverrides(rpc=("10.0.0.2:50052",), rpc_memory=("8GiB",), rpc_timeout_s=60.0, context=4096)
    assert dict(wishes_for("demo", written, {}).pinned) == {"context": 4096}
    assert dict(wishes_for("demo", written, {}, remote=True).pinned) == dict(written)
