"""The options of `ggufrun compare`, in groups: what is compared, on what text, and what is wanted of the winner"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

Option = typer.Option


@dataclass(frozen=True, slots=True)
class RowFlags:
    """Which models and KV caches are compared."""

    quants: Annotated[
        str | None, Option(metavar="Q,Q", help="Quants of SPEC, as in Q2_K,Q4_K_M,Q8_0. Fetched if they are not here.")
    ] = None
    kv_types: Annotated[str | None, Option(metavar="T,T", help="KV caches, too: of f16, q8_0, q4_0.")] = None
    reference: Annotated[
        str, Option(metavar="auto|QUANT", help="What the others are measured against; auto: the best of them.")
    ] = "auto"


@dataclass(frozen=True, slots=True)
class TextFlags:
    """On what, and how long."""

    text: Annotated[list[Path] | None, Option(metavar="FILE", help="Your own text; may be repeated.")] = None
    chats: Annotated[bool, Option("--chats", help="Your saved chats as the text.")] = False
    quick: Annotated[bool, Option("--quick", help="8 chunks of text, 4 prompts: minutes.")] = False
    full: Annotated[bool, Option("--full", help="200 chunks, 24 prompts and all tasks: hours.")] = False
    tasks: Annotated[
        str | None,
        Option(metavar="T,T", help="Tasks, too: of tools, choices, needle; none: without. --quick asks few items."),
    ] = None


@dataclass(frozen=True, slots=True)
class AimFlags:
    """What the recommendation has to respect."""

    min_tok_s: Annotated[float | None, Option(metavar="N", min=0.0, help="Tokens a second, at least.")] = None
    context: Annotated[str | None, Option(metavar="N", help="Room for this much context, as in 32k.")] = None
    out: Annotated[
        Path | None, Option(metavar="DIR", help="Folder of the report; without: one of its own in the data folder.")
    ] = None


@dataclass(frozen=True, slots=True)
class BlindFlags:
    """The blind test instead."""

    blind: Annotated[bool, Option("--blind", help="Vote on answers of two models, without knowing whose.")] = False
    prompts: Annotated[Path | None, Option(metavar="FILE", help="With --blind: the prompts, one a line.")] = None
    max_tokens: Annotated[int, Option(metavar="N", min=1, help="With --blind: of an answer.")] = 300
