"""What there is to choose from, as HTML: the cards of models that are known, and what a search on the hub found."""

from collections.abc import Sequence
from typing import Any, Final

from markupsafe import Markup

from ggufrun.figures import billions
from ggufrun.ui.models.pieces import NOTHING, badge, button

Json = dict[str, Any]

_CARDS: Final = Markup(
    "<thead><tr><th scope=col>Model</th><th scope=col>About</th><th scope=col class=number>Parameters</th>"
    "<th scope=col class=number>Context</th><th scope=col>Licence</th><th scope=col>Here</th></tr></thead>"
)
_REPOS: Final = Markup(
    "<thead><tr><th scope=col>Repository</th><th scope=col class=number>Downloads a month</th>"
    "<th scope=col class=number>Likes</th><th scope=col>Modified</th><th scope=col>Licence</th></tr></thead>"
)


def as_cards(cards: Sequence[Json]) -> Markup:
    lines = Markup("").join(_card(card) for card in cards)
    return Markup('<h4>Known models</h4><div class="wide scrolls"><table>{}<tbody>{}</tbody></table></div>').format(
        _CARDS, lines
    )


def as_repos(words: str, repos: Sequence[Json]) -> Markup:
    head = Markup("<h4>Found on the hub for “{}” {}</h4>").format(words, button("Known models", "cards"))
    if not repos:
        return Markup('{}<p class="none">No GGUF repository has that in its name.</p>').format(head)
    lines = Markup("").join(_repo(repo) for repo in repos)
    return Markup('{}<div class="wide scrolls"><table>{}<tbody>{}</tbody></table></div>').format(head, _REPOS, lines)


def _card(card: Json) -> Markup:
    return Markup(
        '<tr><th scope="row">{}{}</th><td>{}{}</td><td class="number" data-head="Parameters">{}</td>'
        '<td class="number" data-head="Context">{}</td><td data-head="Licence">{}</td><td>{}</td></tr>'
    ).format(
        _choose(card["name"]),
        badge("sees images") if card["mmproj"] else NOTHING,
        card["description"],
        Markup(" <small>Reasoning effort: {}.</small>").format(", ".join(card["efforts"]))
        if card["efforts"]
        else NOTHING,
        billions(card["parameters"]),
        f"{card['context']:,}",
        card["licence"],
        badge("here", "good", ", ".join(card["here"])) if card["here"] else NOTHING,
    )


def _repo(repo: Json) -> Markup:
    marks = [
        badge("gated", "middling", "Its owner must let you in, on its page.") if repo["gated"] else NOTHING,
        badge("private", "middling") if repo["private"] else NOTHING,
        badge(f"card {repo['card']}") if repo["card"] else NOTHING,
    ]
    return Markup(
        '<tr><th scope="row">{}{}</th><td class="number" data-head="Downloads a month">{}</td>'
        '<td class="number" data-head="Likes">{}</td><td data-head="Modified">{}</td>'
        '<td data-head="Licence">{}</td></tr>'
    ).format(
        _choose(repo["repo"]),
        Markup("").join(marks),
        f"{repo['downloads']:,}",
        f"{repo['likes']:,}",
        str(repo["modified"])[:10],
        repo["licence"] or "not told",
    )


def _choose(spec: str) -> Markup:
    return button(spec, "choose", pick="", spec=spec, label=f"Show {spec}")
