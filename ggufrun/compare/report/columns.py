"""The columns of a comparison's table, for the terminal and the page: what stands in them, and which go first"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ggufrun.compare.report.rows import agreed_mean
from ggufrun.compare.report.words import interval
from ggufrun.compare.results import Figure, Memory, Quality, Role, Row, Speed
from ggufrun.figures import duration, gb, gib, nats, percent, speed


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    number: float  # what it is sorted by
    interval: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """`importance`: the smallest stays longest, where not all have room. `why`: for the page's legend."""

    key: str
    title: str
    importance: int
    why: str
    cell: Callable[[Row], Cell | None]


def _of_quality(words: Callable[[float], str], get: Callable[[Quality], Figure]) -> Callable[[Row], Cell | None]:
    return lambda row: _cell(get(row.ppl), words) if row.ppl else None


def _of_chat(words: Callable[[float], str], get: Callable[[Quality], Figure]) -> Callable[[Row], Cell | None]:
    return lambda row: _cell(get(row.chat), words) if row.chat else None


def _of_speed(words: Callable[[float], str], get: Callable[[Speed], Figure | None]) -> Callable[[Row], Cell | None]:
    def cell(row: Row) -> Cell | None:
        figure = get(row.speed) if row.speed else None
        return _cell(figure, words) if figure else None

    return cell


def _of_memory(words: Callable[[float], str], get: Callable[[Memory], float | None]) -> Callable[[Row], Cell | None]:
    def cell(row: Row) -> Cell | None:
        value = get(row.memory) if row.memory else None
        return Cell(words(value), value) if value is not None else None

    return cell


def _cell(figure: Figure, words: Callable[[float], str]) -> Cell:
    return Cell(words(figure.value), figure.value, interval(figure, words))


def _agreed(row: Row) -> Cell | None:
    mean = agreed_mean(row)
    if mean is None or row.role is Role.REFERENCE:
        return None
    return Cell(f"{mean:.0f} of {sum(each.tokens for each in row.greedy) / len(row.greedy):.0f}", mean)


def _ppl(value: float) -> str:
    return f"{value:,.2f}" if value < 1000 else f"{value:,.0f}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms" if seconds < 10 else f"{seconds:,.0f} s"


def _load(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else duration(seconds)


def _gib(size: float) -> str:
    return gib(int(size))


COLUMNS: Final = (  # in the order in which they stand
    Column("size", "size", 2, "the file, or all files of a set", lambda row: Cell(gb(row.bytes), row.bytes)),
    Column(
        "kld_mean",
        "KL div.",
        1,
        "mean KL divergence of the reference's next-token probabilities to this row's, in nats, over all of the text; "
        "0 is identical",
        _of_quality(nats, lambda of: of.kld_mean),
    ),
    Column(
        "top1_agreement",
        "same top",
        5,
        "how often the most likely next token is the reference's",
        _of_quality(percent, lambda of: of.top1_agreement),
    ),
    Column("peak_bytes", "memory", 4, "measured peak, with its GPUs", _of_memory(_gib, lambda of: of.peak)),
    Column(
        "tg_tok_s",
        "tok/s",
        3,
        "tokens a second while it writes, by llama-bench's method",
        _of_speed(speed, lambda of: of.tg),
    ),
    Column(
        "pp_tok_s",
        "prompt tok/s",
        9,
        "tokens a second while it reads the prompt, by llama-bench's method",
        _of_speed(speed, lambda of: of.pp),
    ),
    Column(
        "ppl", "PPL", 8, "perplexity on the text, as llama-perplexity counts it", _of_quality(_ppl, lambda of: of.ppl)
    ),
    Column(
        "kld_p99",
        "KL p99",
        7,
        "99 % of the positions are under it: the bad moments",
        _of_quality(nats, lambda of: of.kld_p99),
    ),
    Column(
        "chat_kld_mean",
        "chat KL",
        10,
        "mean KL divergence along the reference's own answers in the chat format",
        _of_chat(nats, lambda of: of.kld_mean),
    ),
    Column(
        "chat_top1",
        "chat same top",
        16,
        "how often the most likely next token is the reference's, along its answers",
        _of_chat(percent, lambda of: of.top1_agreement),
    ),
    Column(
        "agreed",
        "agrees for",
        11,
        "tokens in which its greedy answers begin as the reference's do, on average",
        _agreed,
    ),
    Column("ttft", "first token", 15, "from a real prompt to the first token", _of_speed(_ms, lambda of: of.ttft_s)),
    Column(
        "rms_dp",
        "RMS Δp",
        12,
        "root mean square change of the probability of the token that came",
        _of_quality(percent, lambda of: of.rms_dp),
    ),
    Column(
        "ln_ppl_ratio", "ln ratio", 14, "ln(PPL ÷ the reference's PPL)", _of_quality(nats, lambda of: of.ln_ppl_ratio)
    ),
    Column(
        "kld_median", "KL median", 18, "half of the positions are under it", _of_quality(nats, lambda of: of.kld_median)
    ),
    Column(
        "bpw",
        "bpw",
        13,
        "bits per weight: 8 × bytes of the tensors ÷ parameters",
        lambda row: Cell(f"{row.bpw:.2f}", row.bpw),
    ),
    Column("load_s", "load", 17, "until it can be asked", _of_memory(_load, lambda of: of.load_s)),
    Column("planned_bytes", "planned", 19, "what `ggufrun fit` says it takes", _of_memory(_gib, lambda of: of.planned)),
    Column(
        "fits_context",
        "max context",
        20,
        "the most tokens of context that there is room for",
        _of_memory(lambda count: f"{count:,.0f}", lambda of: of.fits_context),
    ),
)
