"""What the buttons of a blind vote do: a vote goes to the server, and names are shown again"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from ggufrun.ui.beside.columns import Column
from ggufrun.ui.beside.copied import as_markdown
from ggufrun.ui.blind.ballot import Ballot, Vote
from ggufrun.ui.blind.booth import Booth
from ggufrun.ui.blind.shown import revealed
from ggufrun.ui.errors import ApiError, shown
from ggufrun.ui.users import Users

Changes = dict[Any, Any]
VOTES: Final = "/ggufrun/v1/blind/votes"
_PROMPT: Final = 100_000  # characters: the most that is kept with a vote
_QUICK: Final[dict[str, Any]] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}


@dataclass(frozen=True, slots=True)
class Voting:
    users: Users
    booth: Booth
    columns: Sequence[Column]
    markdown: gr.Textbox

    def connect(self) -> None:
        booth, ballot = self.booth, self.booth.ballot
        named = [part for each in self.columns for part in (each.model, each.stage, each.answer, each.figures)]
        outputs = [*booth.outputs, *named, self.markdown]
        for vote, button in booth.votes.items():
            button.click(self._voting(vote), ballot, outputs, **_QUICK)
        booth.reveal.click(self.named, ballot, outputs, **_QUICK)
        booth.blind.input(self.switched, [booth.blind, ballot], outputs, **_QUICK)
        booth.undo.click(self.undone, ballot, booth.outputs, **_QUICK)

    def begun(self, ballot: Ballot) -> Changes:
        """A race has begun: a blind one, or another."""
        return {self.booth.said: "", **self.booth.state(ballot)}

    def _voting(self, vote: Vote) -> Callable[[Ballot, gr.Request], Awaitable[Changes]]:
        async def voted(ballot: Ballot, request: gr.Request) -> Changes:
            if not ballot.votable:
                return self.booth.state(ballot)
            a, b, verdict = ballot.verdict(vote)
            race, ballot.hides = ballot.race, False  # first: a second click is no second vote
            body = {"a": a, "b": b, "verdict": verdict, "prompt": ballot.prompt[:_PROMPT]}
            try:
                kept = await self.users.api(request).post(VOTES, body)
            except ApiError as error:
                ballot.hides = ballot.hides or ballot.race == race
                raise shown(error) from error
            if ballot.race != race:  # whoever is hidden now was not voted on
                return self.booth.state(ballot)
            ballot.vote = kept["vote"]["id"]
            return self.names(ballot, kept["pair"])

        return voted

    async def named(self, ballot: Ballot) -> Changes:
        """Names without a vote."""
        if not ballot.hides:
            return self.booth.state(ballot)
        ballot.hides = False
        return self.names(ballot)

    async def switched(self, on: bool, ballot: Ballot) -> Changes:
        return self.booth.state(ballot) if on else await self.named(ballot)

    async def undone(self, ballot: Ballot, request: gr.Request) -> Changes:
        """The names are known by now, so the answers are not voted on again."""
        if not ballot.vote:
            return self.booth.state(ballot)
        race, vote, ballot.vote = ballot.race, ballot.vote, ""
        try:
            kept = await self.users.api(request).delete(f"{VOTES}/{vote}")
        except ApiError as error:
            ballot.vote = vote if ballot.race == race else ballot.vote
            raise shown(error) from error
        if ballot.race != race:
            return self.booth.state(ballot)
        return {**self.booth.state(ballot), self.booth.said: revealed(ballot, kept["pair"])}

    def names(self, ballot: Ballot, pair: dict[str, Any] | None = None) -> Changes:
        """Each column is told whose answer it has. `pair`: where the two stand now, if there was a vote."""
        changes: Changes = {**self.booth.state(ballot), self.booth.said: revealed(ballot, pair)}
        for column, name in zip(self.columns, ballot.names, strict=False):
            changes[column.model] = gr.update(value=name)
        if ballot.standing is not None:
            for column, contender in zip(self.columns, ballot.standing.contenders, strict=False):
                changes |= column.changes(None, contender)
            if ballot.standing.over:
                changes[self.markdown] = as_markdown(ballot.prompt, ballot.standing)
        return changes
