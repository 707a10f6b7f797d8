"""The options of `ggufrun quantize`"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer


@dataclass(frozen=True, slots=True)
class QuantizeFlags:
    """What is made, and where."""

    to: Annotated[str, typer.Option(metavar="QUANT,…", help="What to make, as in Q8_0,Q6_K,Q4_K_M.")]
    imatrix: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Importance matrix of this model, from llama-imatrix.")
    ] = None
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to; without: beside the file, or here for a name.")
    ] = None
    threads: Annotated[int, typer.Option(metavar="N", min=0, max=512, help="Threads; 0: one for each core.")] = 0
    force: Annotated[bool, typer.Option("--force", help="Make anew what is there already.")] = False
