"""N-gram drafts and the clock that decides whether they pay."""

from ggufrun.engine.draft import NgramDraft
from ggufrun.engine.pacer import Pacer


def test_a_draft_is_what_followed_the_last_three_tokens() -> None:
    draft = NgramDraft()
    tokens = [1, 2, 3, 4, 5, 6, 7, 1, 2, 3]
    draft.observe(tokens, len(tokens))
    assert draft.propose(tokens, 4) == [4, 5, 6, 7]
    assert draft.propose(tokens, 0) == []
    tokens.append(9)
    draft.observe(tokens, len(tokens) - 1)
    assert draft.propose(tokens, 4) == []


def test_the_latest_occurrence_wins_and_a_cycle_is_unrolled() -> None:
    draft = NgramDraft()
    tokens = [1, 2, 3, 4, 9, 1, 2, 3, 5, 1, 2, 3]
    draft.observe(tokens, 0)
    assert draft.propose(tokens, 2) == [5, 1]
    assert draft.propose(tokens, 9) == [5, 1, 2, 3, 5, 1, 2, 3, 5]


def test_a_longer_context_tells_places_apart() -> None:
    draft = NgramDraft()
    tokens = [8, 1, 2, 3, 4, 9, 1, 2, 3, 5, 7, 8, 1, 2, 3]
    draft.observe(tokens, len(tokens))
    assert draft.propose(tokens, 2) == [4, 9]


def test_a_copy_goes_on_where_it_is_and_behind_a_changed_word() -> None:
    """Blocks that differ in one token each are copied in order, the first one with a change."""
    draft = NgramDraft()
    blocks = [[1, 2, 3, 20 + n, 4, 5, 6, 7] for n in range(12)]
    tokens = [token for block in blocks for token in block] + [90, 91, 92]
    draft.observe(tokens, len(tokens))
    answer = [token for block in blocks for token in block]
    answer[3] = 99
    missed = 0
    for token in answer:
        guess = draft.propose(tokens, 1)
        missed += guess != [token]
        tokens.append(token)
        draft.observe(tokens, len(tokens) - 1)
    assert missed <= 12  # to recognise the copy, and again behind the change; the latest place would miss each number


def test_acceptance_follows_what_the_model_chose() -> None:
    draft = NgramDraft()
    tokens = [1, 2, 3] * 4
    draft.observe(tokens, 0)
    for _ in range(30):
        guess = draft.propose(tokens, 1)
        tokens.append(guess[0])
        draft.observe(tokens, len(tokens) - 1)
    assert draft.acceptance > 0.9
    for _ in range(30):
        draft.propose(tokens, 1)
        draft.verified(0, 3)
    assert draft.acceptance < 0.1


def test_a_draft_is_taken_where_rows_are_cheap_and_left_where_they_are_not() -> None:
    cheap, dear = Pacer(0.2), Pacer(0.2)
    for rows in (1, 2, 4, 8, 16, 32, 64):
        cheap.record(rows, 0, 0.010 + 0.0001 * rows)
        dear.record(rows, 0, 0.010 * rows)
    assert cheap.draft_length(1, 1, 0.9, 47) >= 15
    assert cheap.draft_length(1, 1, 0.02, 47) == 0
    assert dear.draft_length(1, 1, 0.95, 47) == 0
    assert cheap.draft_length(1, 1, 0.9, 5) in (0, 3)


def test_chunks_are_sized_by_the_time_they_take() -> None:
    pacer = Pacer(0.2)
    assert pacer.chunk(4, 512) == 32  # nothing known: careful
    for _ in range(30):
        pacer.record(4, 0, 0.020)
        pacer.record(104, 100, 0.220)  # 2 ms a prompt row beside four streams
    assert 80 <= pacer.chunk(4, 512) <= 95
    pacer.record(104, 100, 1.020)  # the machine got slower: at once
    assert 16 <= pacer.chunk(4, 512) <= 20
    assert pacer.chunk(4, 12) in (12, 16)
