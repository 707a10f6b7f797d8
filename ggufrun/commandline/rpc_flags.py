"""The options that name the other machines which share a model, and how they become settings."""

from dataclasses import dataclass
from typing import Annotated

import typer

from ggufrun.commandline.values import duration
from ggufrun.settings import ModelOverrides

Option = typer.Option


@dataclass(frozen=True, slots=True)
class RpcFlags:
    """Workers of other machines (`ggufrun rpc-worker`) that have a part of the model."""

    rpc: Annotated[
        list[str] | None, Option(metavar="HOST:PORT[,…]", help="Other machines' RPC workers that share the model.")
    ] = None
    rpc_memory: Annotated[
        list[str] | None,
        Option(metavar="SIZE[@GB/S][,…]", help="Of each worker's device what to use, 12GiB; else what it says."),
    ] = None


def rpc_overrides(rpc: list[str] | None, memory: list[str] | None, timeout: str | None = None) -> ModelOverrides:
    """Raises OptionError."""
    given = ModelOverrides()
    if rpc is not None:
        from ggufrun.rpc.address import addresses  # here: only who asks for it needs it

        given["rpc"] = addresses(rpc)
    if memory is not None:
        given["rpc_memory"] = _sizes(memory)
    if timeout is not None:
        given["rpc_timeout_s"] = duration(timeout, "--rpc-timeout", least=1.0)
    return given


def _sizes(texts: list[str]) -> tuple[str, ...]:
    from ggufrun.fit.machine import size_and_speed

    parts = tuple(part.strip() for text in texts for part in text.split(","))
    for part in parts:
        size_and_speed(part, "--rpc-memory", "12GiB or 12GiB@448 (GB/s)")
    return parts
