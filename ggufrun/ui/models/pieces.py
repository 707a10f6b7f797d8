"""Small pieces of HTML that several parts of the tab are made of. All of them escape what they are given."""

from collections.abc import Mapping
from typing import Final

from markupsafe import Markup

NOTHING: Final = Markup("")
_VERDICTS: Final[Mapping[str, tuple[str, str]]] = {
    "fits": ("fits", "good"),
    "offload": ("partly in RAM", "middling"),
    "too large": ("too large", "bad"),
}


def button(text: str, act: str, *, sure: str = "", main: bool = False, label: str = "", **data: str) -> Markup:
    """What a click on it tells the server is `act` with `data`; `sure`: what is asked before. See models.js."""
    told = {"act": act, **data} | ({"sure": sure, "do": text} if sure else {})
    given = Markup("").join(Markup(' data-{}="{}"').format(name, value) for name, value in told.items())
    named = Markup(' aria-label="{}"').format(label) if label else NOTHING
    kind = Markup(' class="main"') if main else NOTHING
    return Markup('<button type="button"{}{}{}>{}</button>').format(kind, given, named, text)


def badge(text: str, kind: str = "plain", why: str = "") -> Markup:
    titled = Markup(' title="{}"').format(why) if why else NOTHING
    return Markup('<span class="badge {}"{}>{}</span>').format(kind, titled, text)


def verdict_badge(verdict: str | None) -> Markup:
    text, kind = _VERDICTS.get(verdict or "", ("not known", "plain"))
    return badge(text, kind)


def sentences(texts: list[str], kind: str) -> Markup:
    """A list of them, or nothing."""
    if not texts:
        return NOTHING
    items = Markup("").join(Markup("<li>{}</li>").format(text) for text in texts)
    return Markup('<ul class="{}">{}</ul>').format(kind, items)


def busy(text: str) -> Markup:
    return Markup('<p class="busy" role="status">{}</p>').format(text)


def wrong(text: str) -> Markup:
    return Markup('<p class="wrong" role="alert">{}</p>').format(text)


def bar(done: float, whole: float, label: str) -> Markup:
    """How far something is."""
    share = min(1.0, done / whole) if whole > 0 else 0.0
    return Markup('<progress max="1" value="{}" aria-label="{}"></progress>').format(f"{share:.4f}", label)
