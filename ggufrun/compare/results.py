"""What a comparison found, as values: rows of one table, and how sure they are. Nothing is computed or read here.

Log-probabilities are natural, in nats. Sizes in bytes, times in seconds, speeds in tokens a second.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Role(StrEnum):
    """What a row is there for."""

    REFERENCE = "reference"
    QUANT = "quant"
    SELF = "self"  # the reference compared with itself, computed in the same way: exactly 0, or something is wrong
    NOISE = "noise"  # the reference computed in another order (batches, attention): what is below it is tied


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its 95 % interval; none where there is too little to say one."""

    value: float
    lo: float | None = None
    hi: float | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """One row over one text, position by position; each array is [positions]. `kld` to `same_top`: to the reference.

    Of the reference itself they are 0 and true. A position that was not finite is nan in all of them.
    """

    nll: Floats  # -ln p of the token that came
    kld: Floats  # sum of p ln(p/q), p the reference's, its tail lumped
    dp: Floats  # q - p of the token that came, probabilities
    same_top: npt.NDArray[np.bool_]
    chunk: npt.NDArray[np.int32]  # 512 tokens, or one conversation: what the bootstrap draws
    depth: npt.NDArray[np.int32]  # tokens before this one in its context
    part: npt.NDArray[np.int32]  # of the text: an index into its names


@dataclass(frozen=True, slots=True)
class Depth:
    """Positions whose context has at least `lo` and less than `hi` tokens."""

    lo: int
    hi: int
    positions: int
    kld: Figure


@dataclass(frozen=True, slots=True)
class Quality:
    positions: int
    chunks: int
    not_finite: int
    ppl: Figure
    ln_ppl_ratio: Figure  # mean of nll - the reference's nll
    kld_mean: Figure
    kld_median: Figure
    kld_p90: Figure
    kld_p99: Figure
    kld_p999: Figure
    kld_max: float
    rms_dp: Figure
    mean_dp: Figure
    top1_agreement: Figure
    depths: tuple[Depth, ...] = ()
    parts: dict[str, Figure] = field(default_factory=dict)  # mean KL divergence by part of the text


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rows of the same text, by their names. `difference`: mean KL divergence of the first less the second's."""

    a: str
    b: str
    difference: Figure
    p_a_better: float | None  # share of the bootstrap's draws
    is_tied: bool


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where two greedy answers part: what each writes there, and what both models think of both."""

    at: int  # tokens before it
    reference_text: str
    text: str
    p_reference_own: float
    p_reference_other: float | None  # what the reference thought of this row's token; None: it kept no such figure
    p_own: float
    p_of_reference: float


@dataclass(frozen=True, slots=True)
class Greedy:
    """A greedy answer of one row beside the reference's."""

    prompt: str
    reference: str
    answer: str
    agreed: int  # tokens from the start
    tokens: int  # of the longer of the two
    divergence: Divergence | None  # None: they are the same


@dataclass(frozen=True, slots=True)
class TaskResult:
    """How many items of a task were right, and which of them flipped against the reference."""

    name: str  # "tools-free", "tools-forced", "choices", "needle"
    items: int
    right: int
    accuracy: Figure  # Wilson
    gained: int  # wrong in the reference, right here
    lost: int
    p_mcnemar: float | None  # None: of the reference itself
    too_few: bool  # under 200 items
    more: dict[str, float] = field(default_factory=dict)  # shares: schema_valid, right_function, right_arguments…


@dataclass(frozen=True, slots=True)
class Speed:
    """By llama-bench's method: random tokens, one warm-up, then repetitions. And end to end: a real prompt's TTFT."""

    pp: Figure  # tokens a second, prompt of `pp_tokens`
    pp_tokens: int
    tg: Figure
    tg_tokens: int
    depths: dict[int, tuple[Figure, Figure]] = field(default_factory=dict)  # behind so many tokens: pp, tg
    ttft_s: Figure | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    planned: int | None  # as `ggufrun fit` says, over all devices
    peak: int  # measured, of the process and of its GPUs
    load_s: float
    fits_context: int | None = None  # the most tokens of context that the machine (--gpu) has room for with this row
    left: int | None = None  # bytes free beside it with the context that was asked for; negative: it does not fit


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str  # unique in the report: "Q4_K_M", or "Q4_K_M kv q8_0", "Q8_0 (again)", "Q8_0 (noise)"
    file: str  # its name without folders
    quant: str
    kv_type: str
    role: Role
    bytes: int
    bpw: float
    sha256: str  # of the header, with the sizes of all files: what the cache knows it by
    ppl: Quality | None = None  # over all of the text
    chat: Quality | None = None
    greedy: tuple[Greedy, ...] = ()
    tasks: tuple[TaskResult, ...] = ()
    speed: Speed | None = None
    memory: Memory | None = None
    error: str | None = None  # why there is nothing


@dataclass(frozen=True, slots=True)
class Recommendation:
    name: str | None  # of a row; None: nothing fits what was asked for
    sentence: str  # what, and why; then the next best


@dataclass(frozen=True, slots=True)
class Report:
    title: str  # "SmolLM2-135M-Instruct, 5 quants"
    model: str
    reference: str  # a row's name
    created: float  # seconds since the epoch
    rows: tuple[Row, ...]
    pairs: tuple[Pair, ...]
    pairs_chat: tuple[Pair, ...]
    noise: float | None  # mean KL divergence of the noise row: below it is tied
    texts: tuple[str, ...]  # the parts of the text, by their names, in the order of `Scores.part`
    text_sha256: str
    settings: dict[str, Any]
    hardware: dict[str, Any]
    versions: dict[str, str]
    notes: tuple[str, ...] = ()  # what a reader has to know: "The reference is Q8_0: …"
    recommendation: Recommendation | None = None
    unfinished: bool = False  # stopped before its end: rows may lack parts
