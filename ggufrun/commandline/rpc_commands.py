"""The commands about one model across machines: `rpc-build` and `rpc-worker`. Thin, as in `cli`."""

from pathlib import Path
from typing import Annotated

import typer

from ggufrun.commandline.exits import exit_codes
from ggufrun.commandline.values import split_devices

Option = typer.Option
Debug = Annotated[bool, Option("--debug", help="Show the traceback of an error.")]


def register(app: typer.Typer) -> None:
    """Give the app these commands."""
    app.command("rpc-build")(rpc_build)
    app.command("rpc-worker")(rpc_worker)


def rpc_build(
    source: Annotated[
        Path | None, Option(metavar="FOLDER|FILE", help="llama-cpp-python's source; without: pip fetches it.")
    ] = None,
    *,
    again: Annotated[bool, Option("--again", help="Also where it is there already.")] = False,
    debug: Debug = False,
) -> None:
    """Make the small library that gives this llama.cpp its RPC part. Needs a C++ compiler; takes some seconds."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.rpc import rpc_build as command

        command(source, again=again)


def rpc_worker(
    listen: Annotated[str, Option(metavar="ADDRESS:PORT", help="Where; a private address.")] = "127.0.0.1:50052",
    *,
    device: Annotated[list[str] | None, Option(metavar="NAME[,NAME]", help="Devices; without: the GPUs.")] = None,
    threads: Annotated[int | None, Option(metavar="N", help="CPU threads.")] = None,
    cache: Annotated[Path | None, Option(metavar="DIR", help="Keep large weights here, for the next load.")] = None,
    memory: Annotated[str | None, Option(metavar="SIZE", help="Say that a device has this much, at most.")] = None,
    allow_network: Annotated[bool, Option("--allow-network", help="0.0.0.0, too: there are no keys!")] = False,
    debug: Debug = False,
) -> None:
    """Lend this machine's devices to a ggufrun on another one, which says `--rpc`. It has no keys: keep it private."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.rpc import rpc_worker as command

        names = split_devices(device) if device else ()
        command(listen, names, threads, cache, memory, allow_network=allow_network)
