"""The line below the box: how much of the context the next question takes, as a bar and in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

NEAR: Final = 0.8  # from here on it is said plainly
_BAR: Final = Markup(
    '<span class="bar" role="meter" aria-label="Context used" aria-valuemin="0" aria-valuemax="{most}"'
    ' aria-valuenow="{count}"><span style="width:{percent}%"></span></span><span class="words">{words}</span>'
)


@dataclass(frozen=True, slots=True)
class Used:
    """`count` None: nobody knows, the model is not loaded, or it counts none."""

    model: str
    count: int | None
    context: int
    context_train: int = 0
    files: Sequence[tuple[str, int | None]] = ()  # names and tokens
    loaded: bool = False  # whether the model is
    about: bool = False  # a sum of what was counted before and of what is typed since: a few tokens may be missing

    @property
    def share(self) -> float:
        return (self.count or 0) / self.context if self.context else 0.0

    @property
    def is_full(self) -> bool:
        """There would be no room for an answer."""
        return self.count is not None and 0 < self.context <= self.count

    @property
    def is_near(self) -> bool:
        return self.share >= NEAR


def line(used: Used | None, chat: str, wrong: Sequence[str] = ()) -> str:
    """HTML. `wrong`: what is to be said beside it; nothing in it is taken for HTML."""
    said = [*wrong, *(warnings(used) if used else ())]
    level = "full" if used and used.is_full else "near" if used and used.is_near else "well"
    shown = [_bar(used), _files(used)] if used else []
    alerts = (Markup('<p role="alert">{}</p>').format(each) for each in said)
    return str(
        Markup('<div class="meter {}" data-chat="{}">{}</div>{}').format(
            level, chat, Markup("").join(shown), Markup("").join(alerts)
        )
    )


def warnings(used: Used) -> list[str]:
    if used.count is None:
        return []
    larger = _larger(used)
    if used.is_full:
        much = used.count - used.context + 1
        return [
            f"Too long: {used.count:,} tokens, and the context holds {used.context:,}, answer included. "
            f"Leave out at least {much:,} tokens{larger}."
        ]
    if used.is_near:
        left = used.context - used.count
        return [
            f"The context is {used.share:.0%} full: {left:,} tokens are left for the answer. "
            f"Leave something out{larger}."
        ]
    return []


def _larger(used: Used) -> str:
    if used.context_train <= used.context:
        return ""
    return f", or load {used.model} with a larger context (it can have {used.context_train:,})"


def _bar(used: Used) -> Markup:
    if used.count is None:
        return Markup('<span class="words">{}</span>').format(_uncounted(used))
    if not used.context:
        return Markup('<span class="words">{}</span>').format(f"{used.count:,} tokens; {used.model} has no known limit")
    words = f"{'about ' if used.about else ''}{used.count:,} of {used.context:,} tokens of context ({used.share:.0%})"
    percent = min(100, round(100 * used.share))
    return _BAR.format(most=used.context, count=used.count, percent=percent, words=words)


def _uncounted(used: Used) -> str:
    held = f" Its context holds {used.context:,}." if used.context else ""  # some engines elsewhere do not say it
    if used.loaded:
        return f"{used.model} is answered elsewhere, by an engine that does not count this beforehand.{held}"
    return f"{used.model} is not loaded: tokens are counted once it is.{held}"


def _files(used: Used) -> Markup:
    each = (
        Markup('<span class="file">{} <b>{}</b></span>').format(name, "" if tokens is None else f"{tokens:,} tokens")
        for name, tokens in used.files
    )
    return Markup("").join(each)
