"""What the worker does to events on their way out; its process is tested with the service."""

from ggufrun.engine.types import EngineEvent, Finished, FinishReason, PromptProgress, Stats, TokenLogprob, Tokens
from ggufrun.engine.worker import merge_tokens


def test_tokens_of_a_request_are_gathered_and_keep_their_order() -> None:
    end = Finished(1, FinishReason.STOP, Stats(3, 3))
    events: list[EngineEvent] = [
        Tokens(1, (5,)),
        Tokens(2, (6, 7)),
        PromptProgress(3, 1, 9, 0),
        Tokens(1, (8, 9)),
        end,
        Tokens(2, (4,)),
    ]
    assert merge_tokens(events) == [Tokens(1, (5, 8, 9)), Tokens(2, (6, 7, 4)), PromptProgress(3, 1, 9, 0), end]


def test_logprobs_stay_beside_their_tokens() -> None:
    first, second = TokenLogprob(5, -0.1, ()), TokenLogprob(6, -0.2, ())
    assert merge_tokens([Tokens(1, (5,), (first,)), Tokens(1, (6,), (second,))]) == [Tokens(1, (5, 6), (first, second))]
