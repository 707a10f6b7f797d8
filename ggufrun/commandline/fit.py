"""`ggufrun fit`: how a model would be loaded on a machine, as a table and in sentences. The plan is the library's."""

import json
from collections.abc import Sequence

from ggufrun.commandline.hub_flags import HubFlags
from ggufrun.commandline.plan_flags import MachineFlags, PlanFlags
from ggufrun.commandline.plan_words import print_plan, print_smaller
from ggufrun.commandline.rpc_flags import RpcFlags, rpc_overrides
from ggufrun.commandline.table import printable
from ggufrun.commandline.wishes import wishes_of
from ggufrun.figures import billions
from ggufrun.fit.machine import Gpu
from ggufrun.fit.network import network_words
from ggufrun.fit.workers import worker_gpus
from ggufrun.library.fitting import Asked, Fitted, fitted, fitted_json
from ggufrun.settings import ModelOverrides


def fit(
    spec: str,
    hub: HubFlags,
    machine: MachineFlags,
    pinned: PlanFlags,
    rpc: RpcFlags,
    *,
    mmproj: str | None,
    as_json: bool,
) -> None:
    """Raises InputError or HubError."""
    hub.settle()
    wishes = wishes_of(pinned, spec, mmproj, rpc_overrides(rpc.rpc, rpc.rpc_memory))
    workers, there = _workers(wishes.pinned)
    found = fitted(Asked(spec, hub.revision, wishes), gpu=machine.gpu, ram=machine.ram, workers=workers, there=there)
    if as_json:
        print(json.dumps(fitted_json(found), indent=2))
    else:
        _print(found)


def _workers(pinned: ModelOverrides) -> tuple[Sequence[Gpu], bool]:
    """Other machines' devices, and whether those were asked. Raises WorkerFault or OptionError."""
    addresses, said = pinned.get("rpc", ()), pinned.get("rpc_memory", ())
    if not addresses:
        return worker_gpus((), said), False
    from ggufrun.opening.workers import gpus_of, workers_of  # here: it brings llama.cpp

    return gpus_of(workers_of(addresses), said), True


def _print(found: Fitted) -> None:
    parameters = sum(header.parameters for header in found.subject.headers)
    print(printable(f"{found.subject.name}: {billions(parameters)} parameters. {found.note}".strip()))
    print_plan(found.plan, found.machine)
    if found.network is not None:
        print("\nOver the network:")
        for sentence in network_words(found.network):
            print(f"  {sentence}")
    if found.others:
        print("\nOther quants, estimated from their sizes:")
        for name, words in found.others.items():
            print(printable(f"  {name}: {words}"))
    if found.smaller is not None:
        print_smaller(found.smaller, found.machine)
