"""A map of the KV cache: which tokens each sequence holds, and which cells sequences share. No policy.

A node is a run of cells and the set of sequences that hold them. Children may start with the same token: two sequences
that computed the same text side by side hold cells of their own.
"""

from collections.abc import Iterable, Iterator, Sequence


def common_prefix(left: Sequence[int], right: Sequence[int], offset: int = 0) -> int:
    """How many tokens of `left` equal those of `right` from `offset` on. Both are of one type (list or tuple)."""
    low, high = 0, min(len(left), len(right) - offset)
    if left[:high] == right[offset : offset + high]:
        return high
    while high - low > 1:  # left[:low] is equal, left[:high] is not
        middle = (low + high) // 2
        if left[low:middle] == right[offset + low : offset + middle]:
            low = middle
        else:
            high = middle
    return low


class _Node:
    __slots__ = ("children", "parent", "seqs", "tokens")

    def __init__(self, parent: "_Node | None", tokens: list[int], seqs: set[int]) -> None:
        self.parent, self.tokens, self.seqs = parent, tokens, seqs
        self.children: list[_Node] = []


class PrefixTree:
    """Sequences by id, each a path of nodes from the root."""

    def __init__(self) -> None:
        self._root = _Node(None, [], set())
        self._leaf: dict[int, _Node] = {}
        self._length: dict[int, int] = {}
        self.used = 0  # cells held by any sequence, shared ones counted once

    def __contains__(self, seq: int) -> bool:
        return seq in self._leaf

    def length(self, seq: int) -> int:
        return self._length.get(seq, 0)

    def tokens(self, seq: int) -> list[int]:
        """The tokens that `seq` holds, first to last."""
        return [token for node in reversed(list(self._path(seq))) for token in node.tokens]

    def extend(self, seq: int, tokens: Sequence[int]) -> None:
        """Append newly computed tokens to `seq`, in cells of its own. An unknown `seq` starts empty."""
        leaf = self._leaf.get(seq, self._root)
        if leaf is self._root or len(leaf.seqs) > 1 or leaf.children:
            child = _Node(leaf, [], {seq})
            leaf.children.append(child)
            leaf = self._leaf[seq] = child
        leaf.tokens.extend(tokens)
        self._length[seq] = self.length(seq) + len(tokens)
        self.used += len(tokens)

    def share(self, source: int, target: int, length: int) -> None:
        """Let the empty sequence `target` hold the first `length` cells of `source` too."""
        node = self._cut(source, length)
        self._leaf[target], self._length[target] = node, length
        while node is not self._root:
            node.seqs.add(target)
            node = node.parent or self._root

    def truncate(self, seq: int, length: int) -> None:
        """Keep only the first `length` cells of `seq`."""
        if length >= self.length(seq):
            return
        keep = self._cut(seq, length)
        node = self._leaf[seq]
        while node is not keep:
            parent = node.parent or self._root
            node.seqs.discard(seq)
            if not node.seqs:
                parent.children.remove(node)
                self.used -= len(node.tokens)
            node = parent
        self._leaf[seq], self._length[seq] = keep, length
        if length == 0:
            del self._leaf[seq], self._length[seq]

    def release(self, seq: int) -> None:
        self.truncate(seq, 0)

    def redundant(self, seq: int) -> bool:
        """Whether another sequence holds every cell of `seq`."""
        leaf = self._leaf.get(seq)
        return leaf is None or len(leaf.seqs) > 1

    def longest(self, tokens: list[int]) -> tuple[int, int]:
        """The sequence that shares the longest prefix with `tokens`, and that length; (-1, 0) for none."""
        best_node, best = self._descend(self._root, tokens, 0)
        if best == 0:
            return -1, 0
        return max(best_node.seqs, key=lambda seq: (-self._length[seq], seq)), best

    def cells(self, seqs: Iterable[int]) -> int:
        """Cells held by at least one of `seqs`."""
        wanted, total, stack = set(seqs), 0, list(self._root.children)
        while stack:
            node = stack.pop()
            if not wanted.isdisjoint(node.seqs):
                total += len(node.tokens)
                stack.extend(node.children)
        return total

    def overlap(self, seq: int, length: int, seqs: Iterable[int]) -> int:
        """How many of the first `length` cells of `seq` at least one of `seqs` holds too."""
        wanted, total, end = set(seqs), 0, self.length(seq)
        for node in self._path(seq):
            start = end - len(node.tokens)
            if start < length and not wanted.isdisjoint(node.seqs):
                total += min(end, length) - start
            end = start
        return total

    def _descend(self, node: _Node, tokens: list[int], depth: int) -> tuple[_Node, int]:
        best_node, best = node, depth
        for child in node.children:
            same = common_prefix(child.tokens, tokens, depth)
            if not same:
                continue
            found = (child, depth + same)
            if same == len(child.tokens) and depth + same < len(tokens):
                found = self._descend(child, tokens, depth + same)
            if found[1] > best:
                best_node, best = found
        return best_node, best

    def _path(self, seq: int) -> Iterator[_Node]:
        node = self._leaf.get(seq, self._root)
        while node is not self._root:
            yield node
            node = node.parent or self._root

    def _cut(self, seq: int, length: int) -> _Node:
        """The node of `seq` that ends exactly at `length`, split there if it must be."""
        end = self.length(seq)
        for node in self._path(seq):
            start = end - len(node.tokens)
            if length >= end:
                return node
            if length > start:
                return self._split(node, length - start)
            end = start
        return self._root

    def _split(self, node: _Node, at: int) -> _Node:
        """Cut `node` in two and return the head; the tail keeps the identity, since leaves point at it."""
        parent = node.parent or self._root
        head = _Node(parent, node.tokens[:at], set(node.seqs))
        parent.children[parent.children.index(node)] = head
        head.children.append(node)
        node.parent, node.tokens = head, node.tokens[at:]
        return head
