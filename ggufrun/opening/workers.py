"""The RPC workers that a model's settings name: asked before anything is loaded, and as devices for its plan."""

from collections.abc import Mapping
from typing import Any

from ggufrun.fit.machine import Gpu
from ggufrun.fit.workers import OUTPUT_HERE, RemoteDevice, worker_gpus
from ggufrun.llama import rpc, rpc_library
from ggufrun.rpc.workers import Workers


def with_output_here(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the user set, and where only workers have devices, the output on this machine; see `fit.workers`.

    llama.cpp itself is not asked whether it offloads: built with RPC it always says so.
    """
    if given.get("gpu_layers") == 0:
        return {**given, "rpc": ()}  # then there is nothing for them to do
    if not given.get("rpc") or given.get("override_tensors") or rpc.local_gpus(()):  # no worker is connected here
        return given
    return {**given, "override_tensors": (OUTPUT_HERE,)}


def workers_of(addresses: tuple[str, ...]) -> Workers | None:
    """Raises OptionError where this llama.cpp has no RPC."""
    return Workers(addresses, rpc_library.protocol()) if addresses else None


def gpus_of(workers: Workers | None, said: tuple[str, ...]) -> tuple[Gpu, ...]:
    """Takes seconds where one does not answer. Raises WorkerFault and OptionError."""
    if workers is None:
        return ()
    found = [
        RemoteDevice(greeting.address, device.free, device.total)
        for greeting in workers.greeted()
        for device in greeting.devices
    ]
    return worker_gpus(found, said)
