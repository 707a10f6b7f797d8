"""The jobs of a row: what its process is asked for, what each makes, and where that is kept

Of the reference: its answers first, since chat mode's text is made of them; then the bases that all others are
measured against.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal

from ggufrun.compare.results import Role
from ggufrun.compare.run.cache import Cache
from ggufrun.compare.run.chunks import Chunks
from ggufrun.compare.run.plan import BATCH, NOISE_BATCH, Plan, RowPlan
from ggufrun.compare.run.surroundings import computing
from ggufrun.compare.run.task_items import TaskItems
from ggufrun.compare.scoring.files import write_items, write_prompts, write_tokens
from ggufrun.compare.tasks import needle, tools

Kind = Literal["text", "chat", "write", "speed", "choices", "needle"]
Json = dict[str, Any]

PP: Final = 512  # tokens, as llama-bench has them
TG: Final = 128
_SEQUENCES: Final = 8  # answers that are written at once


@dataclass(frozen=True, slots=True)
class Job:
    """`makes` are its files, what it gives first; it is finished when all are there. `context`: tokens, at least."""

    row: str
    kind: Kind
    request: Json
    makes: tuple[Path, ...]
    context: int

    @property
    def out(self) -> Path:
        return self.makes[0]


class Jobs:
    """Of one comparison. `text` and `prompts` are its input; what the reference answered comes later."""

    def __init__(
        self, plan: Plan, cache: Cache, text: Chunks, prompts: Sequence[Sequence[int]], items: TaskItems
    ) -> None:
        self._plan, self._cache, self._text, self._items = plan, cache, text, items
        self._longest, self._count = max(map(len, prompts), default=0), len(prompts)
        self._computing = computing()
        self._text_file = self._tokens_file(text)
        self._prompt_file = self._prompts_file(prompts)

    @property
    def longest(self) -> int:
        """Tokens of a prompt."""
        return self._longest

    def write(self, row: RowPlan) -> Job:
        """Greedy answers; of the others than the reference beside the reference's."""
        follow = None if row.role is Role.REFERENCE else self.write(self._plan.rows[0]).out
        tokens = self._plan.mode.tokens
        request = {"kind": "write", "prompts": self._prompt_file, "max_tokens": tokens, "follow": follow}
        known = {"prompts": self._prompt_file.name, "max_tokens": tokens, "follow": follow.name if follow else None}
        return self._job(row, "write", request, known, min(_SEQUENCES, self._count) * (self._longest + tokens))

    def text(self, row: RowPlan) -> Job:
        return self._score(row, "text", self._text, self._text_file)

    def chat(self, row: RowPlan, chat: Chunks) -> Job:
        return self._score(row, "chat", chat, self._tokens_file(chat))

    def speed(self, row: RowPlan) -> Job:
        mode = self._plan.mode
        trained = row.contender.header.context_train or 1 << 30
        depths = [depth for depth in mode.depths if depth + PP <= trained]
        asked = {"pp": PP, "tg": TG, "depths": depths, "reps": mode.repetitions}
        known = {**asked, "planned": self._plan.aims.context}  # with which it is loaded
        job = self._job(row, "speed", {"kind": "speed", **asked}, known, max(depths, default=0) + PP, ".json")
        # What the load took, and the memory: the process that is timed says it, and its parent keeps it.
        return replace(job, makes=(job.out, self._path(row, "cost", {"speed": job.out.name}, ".json")))

    def tasks(self, row: RowPlan) -> list[Job]:
        """Those that the scoring process does."""
        return [
            *([self.choices(row)] if self._items.choices.questions else []),
            *([self.needles(row)] if self._items.needles else []),
        ]

    def choices(self, row: RowPlan) -> Job:
        """The log-probability of each choice."""
        items = self._items.choices
        known = {"contexts": items.contexts, "choices": items.choices}
        path = self._cache.written(
            "items", known, ".npz", lambda path: write_items(path, items.contexts, items.choices)
        )
        longest = max(len(each.context) + sum(map(len, each.choices)) for each in items.questions)
        return self._job(row, "choices", {"kind": "choose", "items": path}, {"items": path.name}, longest)

    def needles(self, row: RowPlan) -> Job:
        """Greedy answers to prompts with a needle in them."""
        prompts = [each.prompt for each in self._items.needles]
        path = self._prompts_file(prompts)
        request = {"kind": "write", "prompts": path, "max_tokens": needle.ANSWER, "follow": None}
        longest = max(map(len, prompts)) + needle.ANSWER
        return self._job(row, "needle", request, {"prompts": path.name, "max_tokens": needle.ANSWER}, longest)

    def tools(self, row: RowPlan, *, forced: bool) -> Path:
        """Outcomes, of no job of the scoring process: they need a chat model."""
        kind = "tools-forced" if forced else "tools-free"
        known = {"items": sha256(repr(self._items.tools).encode()).hexdigest(), "tokens": tools.MOST}
        return self._path(row, kind, known, ".json")

    def first_token(self, row: RowPlan) -> Path:
        """Seconds to the first token: no job of the scoring process, but a part like the others."""
        known = {"prompts": self._prompt_file.name, "planned": self._plan.aims.context}
        return self._path(row, "first-token", known, ".json")

    def _score(self, row: RowPlan, kind: Kind, chunks: Chunks, tokens: Path) -> Job:
        way = {"batch": NOISE_BATCH, "other_attention": True} if row.role is Role.NOISE else {"batch": BATCH}
        request: Json = {"kind": "score", "tokens": tokens, "base": None, "write_base": None, **way}
        known: Json = {"tokens": tokens.name, **way}
        base = self._path(self._plan.rows[0], f"{kind}-base", {"tokens": tokens.name, "batch": BATCH}, ".npz")
        longest = max(map(len, chunks.tokens), default=0)
        if row.role is Role.REFERENCE:
            job = self._job(row, kind, request | {"write_base": base}, known | {"writes": base.name}, longest)
            return replace(job, makes=(job.out, base))
        return self._job(row, kind, request | {"base": base}, known | {"base": base.name}, longest)

    def _job(self, row: RowPlan, kind: Kind, request: Json, known: Json, context: int, suffix: str = ".npz") -> Job:
        out = self._path(row, kind, known, suffix)
        return Job(row.name, kind, {**request, "out": out}, (out,), context)

    def _path(self, row: RowPlan, kind: str, known: Mapping[str, Any], suffix: str) -> Path:
        settings = {name: str(value) for name, value in sorted(self._plan.overrides.items())}
        model = {"model": row.contender.sha256, "kv": row.kv_type, "settings": settings, "computing": self._computing}
        return self._cache.path(kind, {**model, **known}, suffix)

    def _prompts_file(self, prompts: Sequence[Sequence[int]]) -> Path:
        known = {"prompts": [list(prompt) for prompt in prompts]}
        return self._cache.written("prompts", known, ".npz", lambda path: write_prompts(path, prompts))

    def _tokens_file(self, chunks: Chunks) -> Path:
        known = {"tokens": chunks.tokens, "firsts": chunks.firsts, "parts": chunks.parts}
        return self._cache.written(
            "tokens", known, ".npz", lambda path: write_tokens(path, chunks.tokens, chunks.firsts, chunks.parts)
        )
