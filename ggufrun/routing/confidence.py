"""How sure a model was of an answer: the mean log-probability of the tokens that it chose itself."""

from collections import defaultdict
from collections.abc import Iterable

from ggufrun.chat.types import ChatEvent, TextDelta


def mean_logprob(events: Iterable[ChatEvent]) -> float | None:
    """Of the choice that is least sure; None where nothing is known of any.

    Tokens that a grammar forces count as nothing: what the model thinks of them is no doubt about the answer, and where
    they are given for certain they would hide it. Thinking and tool calls come without log-probabilities.
    """
    chosen: defaultdict[int, list[float]] = defaultdict(list)
    for event in events:
        if type(event) is TextDelta:
            chosen[event.choice] += [each.logprob for each in event.logprobs if not each.forced]
    means = [sum(each) / len(each) for each in chosen.values() if each]
    return min(means, default=None)
