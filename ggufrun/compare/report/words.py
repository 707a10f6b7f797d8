"""Words that every form of the report uses: intervals, bands of KL divergence, contexts, names that obey nothing"""

from collections.abc import Callable
from typing import Final

from ggufrun.compare.results import Figure
from ggufrun.figures import nats

NEAR_LOSSLESS: Final = 0.005
CLEAR_LOSS: Final = 0.1
BANDS: Final = (  # conventions for the mean KL divergence on one's own text, no more than that
    (NEAR_LOSSLESS, "near lossless"),
    (0.02, "very good"),
    (0.05, "good"),
    (CLEAR_LOSS, "visible on hard items"),
    (0.3, "clear loss"),
)
WORST_BAND: Final = "only to make it run"
BANDS_ARE: Final = (
    "The verdicts are conventions for the mean KL divergence, no measurements: "
    + ", ".join(f"under {limit:g} {name}" for limit, name in BANDS)
    + f", else {WORST_BAND}."
)


def band(kld: float) -> str:
    return next((name for limit, name in BANDS if kld < limit), WORST_BAND)


def interval(figure: Figure, words: Callable[[float], str]) -> str:
    """`0.0281–0.0345`, or "" where there is none, or nothing in it."""
    if figure.lo is None or figure.hi is None or figure.lo == figure.hi:
        return ""
    dash = " to " if figure.lo < 0 else "–"
    lo, hi = words(figure.lo), words(figure.hi)
    unit = " %" if lo.endswith(" %") and hi.endswith(" %") else ""
    return f"{lo.removesuffix(unit)}{dash}{hi}"


def noise_words(noise: float) -> str:
    what = f"Noise: {nats(noise)} nats, the reference against itself, computed in another order."
    if noise > 0:
        return f"{what} Differences that are not above it are tied."
    return f"{what} None, so that the intervals alone say what is tied."


def tokens(count: int) -> str:
    """Of context: 48k, 4,000 tokens."""
    return f"{count // 1024}k" if count >= 1024 and count % 1024 == 0 else f"{count:,} tokens"


def printable(text: str) -> str:
    """Names of files come from outside, and may hold escape codes, or what is no text at all."""
    return "".join(char if char.isprintable() else "?" for char in text)


def shortened(name: str, most: int) -> str:
    """Its beginning and more of its end: of one model's files the ends differ."""
    if len(name) <= most:
        return name
    begins = (most - 1) // 3
    return f"{name[:begins]}…{name[begins + 1 - most :]}"


def printable_text(text: str) -> str:
    """The same for what has lines: answers, prompts."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)
