"""The options of `ggufrun serve` that are about several models: how many are loaded, how long, and who is elsewhere."""

from dataclasses import dataclass
from typing import Annotated

import typer

from ggufrun.commandline.values import duration

Option = typer.Option


@dataclass(frozen=True, slots=True)
class PoolFlags:
    """When models come and go."""

    max_loaded: Annotated[int | None, Option(metavar="N", min=1, help="Models loaded at once; without: any.")] = None
    ttl: Annotated[str, Option(metavar="TIME", help="Unload a model that was idle so long, as in 10m.")] = "0"
    load_timeout: Annotated[str, Option(metavar="TIME", help="How long a request waits for its model.")] = "60s"
    remote: Annotated[
        list[str] | None,
        Option(metavar="NAME=URL", help="An engine elsewhere (vLLM, llama-server, …) as a model; may be repeated."),
    ] = None

    def ttl_s(self) -> float:
        """0: models stay. Raises OptionError."""
        return duration(self.ttl, "--ttl")

    def load_timeout_s(self) -> float:
        """Raises OptionError."""
        return duration(self.load_timeout, "--load-timeout", least=0.1)
