"""Blind votes between two models, each owner's own. How sure a win is, is counted elsewhere"""

import sqlite3
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ggufrun.errors import ChatNotFound, OutOfRange
from ggufrun.records.chat_database import ChatDatabase

Verdict = Literal["a", "b", "tie"]

_OTHER: Final[dict[Verdict, Verdict]] = {"a": "b", "b": "a", "tie": "tie"}
_PAIRS: Final = """SELECT a, b, sum(verdict = 'a') AS for_a, sum(verdict = 'b') AS for_b, sum(verdict = 'tie') AS ties
    FROM votes WHERE owner = ?"""


@dataclass(frozen=True, slots=True)
class BlindVote:
    """`a` and `b` are names of models, in the order of the alphabet; `verdict` says which of them was better."""

    id: str
    a: str
    b: str
    verdict: Verdict
    prompt: str
    created: float


@dataclass(frozen=True, slots=True)
class PairVotes:
    """All votes between two models."""

    a: str
    b: str
    for_a: int
    for_b: int
    ties: int


class Votes:
    def __init__(self, database: ChatDatabase) -> None:
        self._database = database

    def add(self, owner: str, a: str, b: str, verdict: Verdict, prompt: str = "") -> BlindVote:
        """Raises OutOfRange for a model against itself."""
        if a == b:
            raise OutOfRange(f"{a} is both contenders.", "Vote between two models.", "b")
        if a > b:
            a, b, verdict = b, a, _OTHER[verdict]
        vote = BlindVote(uuid.uuid4().hex, a, b, verdict, prompt, time.time())
        row = (vote.id, owner, a, b, verdict, prompt, vote.created)
        with self._database.change() as cursor:
            cursor.execute(
                "INSERT INTO votes (id, owner, a, b, verdict, prompt, created) VALUES (?, ?, ?, ?, ?, ?, ?)", row
            )
        return vote

    def listed(self, owner: str, limit: int) -> Sequence[BlindVote]:
        """The newest first."""
        query = "SELECT * FROM votes WHERE owner = ? ORDER BY number DESC LIMIT ?"
        return [_vote(row) for row in self._database.rows(query, owner, limit)]

    def pairs(self, owner: str) -> Sequence[PairVotes]:
        rows = self._database.rows(f"{_PAIRS} GROUP BY a, b ORDER BY max(number) DESC", owner)
        return [PairVotes(**dict(row)) for row in rows]

    def pair(self, owner: str, a: str, b: str) -> PairVotes:
        """In whichever order the two are named."""
        a, b = sorted((a, b))
        rows = self._database.rows(f"{_PAIRS} AND a = ? AND b = ? GROUP BY a, b", owner, a, b)
        return PairVotes(**dict(rows[0])) if rows else PairVotes(a, b, 0, 0, 0)

    def delete(self, owner: str, id: str) -> BlindVote:
        """Take it back: what it was. Raises ChatNotFound, also for another owner's."""
        with self._database.change() as cursor:
            found = cursor.execute("SELECT * FROM votes WHERE id = ? AND owner = ?", (id, owner)).fetchone()
            if found is None:
                raise ChatNotFound("vote", id, "GET /ggufrun/v1/blind/votes lists them.")
            cursor.execute("DELETE FROM votes WHERE id = ?", (id,))
        return _vote(found)


def _vote(row: sqlite3.Row) -> BlindVote:
    return BlindVote(*(row[name] for name in ("id", "a", "b", "verdict", "prompt", "created")))
