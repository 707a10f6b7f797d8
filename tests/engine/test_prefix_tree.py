"""The prefix tree against a plain model: a dictionary of lists of cells."""

import random

import pytest

from ggufrun.engine.prefix_tree import PrefixTree, common_prefix


class PlainTree:
    """What the tree must equal: every sequence as a list of (cell, token)."""

    def __init__(self) -> None:
        self.held: dict[int, list[tuple[int, int]]] = {}
        self.next_cell = 0

    def extend(self, seq: int, tokens: list[int]) -> None:
        for token in tokens:
            self.held.setdefault(seq, []).append((self.next_cell, token))
            self.next_cell += 1

    def cells(self, seqs: set[int]) -> int:
        return len({cell for seq in seqs for cell, _ in self.held.get(seq, [])})

    def longest(self, tokens: list[int]) -> int:
        return max((common_prefix([t for _, t in held], tokens) for held in self.held.values()), default=0)


@pytest.mark.parametrize("seed", range(60))
def test_random_operations_equal_the_plain_model(seed: int) -> None:
    rng = random.Random(seed)
    tree, plain = PrefixTree(), PlainTree()
    for _ in range(150):
        seq = rng.randrange(8)
        action = rng.choice(["extend", "extend", "share", "truncate", "release", "longest"])
        if action == "extend":
            tokens = [rng.randrange(3) for _ in range(rng.randrange(1, 6))]
            tree.extend(seq, tokens)
            plain.extend(seq, tokens)
        elif action == "share" and seq in tree:
            target = next((t for t in range(8) if t not in tree), None)
            length = rng.randint(1, tree.length(seq))
            if target is not None:
                tree.share(seq, target, length)
                plain.held[target] = plain.held[seq][:length]
        elif action in ("truncate", "release") and seq in tree:
            length = 0 if action == "release" else rng.randint(0, tree.length(seq))
            tree.truncate(seq, length)
            plain.held[seq] = plain.held[seq][:length]
            if not plain.held[seq]:
                del plain.held[seq]
        probe = [rng.randrange(3) for _ in range(rng.randrange(12))]
        found, length = tree.longest(probe)
        assert length == plain.longest(probe)
        if length:
            assert tree.tokens(found)[:length] == probe[:length]
        for held in range(8):
            assert tree.tokens(held) == [t for _, t in plain.held.get(held, [])]
            assert tree.length(held) == len(plain.held.get(held, []))
            others = {c for s, h in plain.held.items() if s != held for c, _ in h}
            assert tree.redundant(held) == all(c in others for c, _ in plain.held.get(held, []))
        assert tree.used == plain.cells(set(range(8)))
        some = {s for s in range(8) if rng.random() < 0.5}
        assert tree.cells(some) == plain.cells(some)
        length = rng.randint(0, tree.length(seq))
        theirs = {cell for s in some for cell, _ in plain.held.get(s, [])}
        assert tree.overlap(seq, length, some) == sum(c in theirs for c, _ in plain.held.get(seq, [])[:length])


def test_common_prefix_finds_every_difference() -> None:
    base = list(range(40))
    for length in range(41):
        other = [*base[:length], -1, *base[length:]]
        assert common_prefix(base, other) == length
        assert common_prefix(base[3:], other, 3) == max(0, length - 3)
