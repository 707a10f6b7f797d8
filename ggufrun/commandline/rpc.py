"""`ggufrun rpc-build` and `ggufrun rpc-worker`: one model across machines, by llama.cpp's RPC. Done by `rpc`."""

import sys
from pathlib import Path

from ggufrun.errors import OptionError
from ggufrun.fit.machine import size_and_speed
from ggufrun.rpc.address import Address
from ggufrun.rpc.building import build
from ggufrun.rpc.worker import Offer, Worker


def rpc_build(source: Path | None, *, again: bool) -> None:
    """Raises OptionError or EngineError."""
    if source is not None and not source.exists():
        raise OptionError(f"--source {source} is not there.", "Give a folder or an archive with the source.")
    built = build(source, again=again)
    if built.path is None:
        print("This llama.cpp has RPC of its own: nothing to make.")
    elif built.seconds is None:
        print(f"It is there: {built.path}")
    else:
        print(f"Made in {built.seconds:.1f} s: {built.path}")


def rpc_worker(
    listen: str,
    devices: tuple[str, ...],
    threads: int | None,
    cache: Path | None,
    memory: str | None,
    *,
    allow_network: bool,
) -> None:
    """Until SIGTERM or SIGINT. Raises OptionError or EngineError."""
    address = Address.read(listen, "--listen")
    endpoint = address.listening(network=allow_network)
    most = None if memory is None else size_and_speed(memory, "--memory", "12GiB")[0]
    if threads is not None and threads < 1:
        raise OptionError(f"{threads} threads cannot compute.", "Use --threads 1 or more.")
    if not address.is_loopback:
        _say(
            f"warning: whoever reaches {endpoint} may use this machine's memory and read what is computed: "
            "llama.cpp's RPC has no keys and no encryption. Trust that network, or use an SSH tunnel (docs/scale.md)."
        )
    Worker(Offer(endpoint, devices, threads, cache, most), _say).run()


def _say(line: str) -> None:
    print(f"ggufrun: {line}", file=sys.stderr, flush=True)
