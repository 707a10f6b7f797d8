"""A comparison's report, made of the finished parts: figures, answers, memory, notes and the recommendation"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ggufrun.compare.report.recommend import recommend
from ggufrun.compare.results import Greedy, Quality, Recommendation, Report, Role, Row
from ggufrun.compare.run.chunks import FEW, Chunks
from ggufrun.compare.run.first_token import read_seconds
from ggufrun.compare.run.found import Extras, qualities, read_json, read_part, row_of, speed_of
from ggufrun.compare.run.greedy import greedy_answers
from ggufrun.compare.run.jobs import Job, Jobs
from ggufrun.compare.run.memory import Needs, needs_of
from ggufrun.compare.run.plan import BATCH, CHUNK, NOISE_BATCH, Aims, Plan, RowPlan
from ggufrun.compare.run.prepared import Prepared
from ggufrun.compare.run.surroundings import hardware, versions
from ggufrun.compare.run.task_results import TaskResults
from ggufrun.compare.scoring.files import Written, read_written
from ggufrun.compare.statistics.quality import Qualities
from ggufrun.figures import gib
from ggufrun.fit.probe import Probe

_EXACT = ("BF16", "F16", "F32")  # what models are published in: nothing was lost


@dataclass(frozen=True, slots=True)
class Reporting:
    """`chat` is None where the reference wrote nothing."""

    plan: Plan
    prepared: Prepared
    jobs: Jobs
    chat: Chunks | None

    def report(self, errors: Mapping[str, str], *, unfinished: bool) -> Report:
        """`errors`: by row, what went wrong."""
        plan, able = self.plan, [row for row in self.plan.rows if row.contender.error is None]
        text, noise = qualities({row.name: self.jobs.text(row) for row in able}, plan.rows, self.prepared.text.names)
        chat, _ = self._chat_qualities(able)
        with Probe() as probe:
            needs, machine = needs_of(plan.aims, probe), hardware(probe)
            rows = tuple(self._row(row, text, chat, needs, errors) for row in plan.rows)
        return Report(
            title=plan.title,
            model=plan.model,
            reference=plan.rows[0].name,
            created=time.time(),
            rows=rows,
            pairs=text.pairs,
            pairs_chat=chat.pairs,
            noise=noise,
            texts=self.prepared.text.names,
            text_sha256=plan.source.sha256,
            settings=self._settings(),
            hardware=machine,
            versions=versions(),
            notes=tuple(self._notes(rows, errors)),
            recommendation=_recommended(rows, text, noise, plan, _place(plan.aims, machine)),
            unfinished=unfinished,
        )

    def _chat_qualities(self, rows: list[RowPlan]) -> tuple[Qualities, float | None]:
        if self.chat is None:
            return Qualities({}, ()), None
        jobs: dict[str, Job] = {row.name: self.jobs.chat(row, self.chat) for row in rows}
        return qualities(jobs, self.plan.rows, self.chat.names)

    def _row(self, row: RowPlan, text: Qualities, chat: Qualities, needs: Needs, errors: Mapping[str, str]) -> Row:
        ppl, followed = text.of.get(row.name), chat.of.get(row.name)
        if row.contender.error is not None:
            return row_of(row, None, None, Extras(error=row.contender.error))
        error = errors.get(row.name) if ppl is None else None
        if row.role in (Role.SELF, Role.NOISE):
            return row_of(row, ppl, followed, Extras(error=error))
        job = self.jobs.speed(row)
        speed, cost = read_part(job.out, read_json), read_part(job.makes[1], read_json)
        first = read_part(self.jobs.first_token(row), read_seconds)
        extras = Extras(
            greedy=self._greedy(row),
            tasks=self._tasks().of(row),
            speed=speed_of(speed, first or ()) if speed else None,
            cost=cost or {},
            need=needs.of(row) if cost else None,
            error=error,
        )
        return row_of(row, ppl, followed, extras)

    def _tasks(self) -> TaskResults:
        return TaskResults(self.jobs, self.prepared.items, self.prepared.vocabulary, self.plan.rows[0])

    def _greedy(self, row: RowPlan) -> tuple[Greedy, ...]:
        written = self._written(row)
        reference = self._written(self.plan.rows[0])
        if written is None or reference is None:
            return ()
        return greedy_answers(self.prepared.prompts, reference, written, self.prepared.vocabulary)

    def _written(self, row: RowPlan) -> Written | None:
        return read_part(self.jobs.write(row).out, read_written) if self.prepared.tokens else None

    def _settings(self) -> dict[str, Any]:
        plan, mode = self.plan, self.plan.mode
        return {
            "mode": mode.name,
            "text": plan.source.said,
            "chunks": len(self.prepared.text.tokens),
            "chunk_tokens": CHUNK,
            "prompts": len(self.prepared.prompts),
            "answer_tokens": mode.tokens,
            "batch": BATCH,
            "noise_batch": NOISE_BATCH,
            "noise_attention": "other",
            "repetitions": mode.repetitions,
            "depths": list(mode.depths),
            "tasks": list(plan.tasks),
            "kv_types": list(plan.kv_types),
            "load": {name: str(value) for name, value in plan.overrides.items()},
            "min_tok_s": plan.aims.min_tok_s,
            "context": plan.aims.context,
            "gpu": plan.aims.gpu,
            "ram": plan.aims.ram,
        }

    def _notes(self, rows: tuple[Row, ...], errors: Mapping[str, str]) -> Iterator[str]:
        quant, chunks = self.plan.reference.quant, len(self.prepared.text.tokens)
        if quant not in _EXACT:
            yield f"The reference is {quant or 'quantized'} itself: what it lost against the model is not seen here."
        if chunks < FEW:
            yield f"The text has {chunks} chunks of {CHUNK} tokens only: there are no intervals below {FEW}."
        if overrides := self.plan.overrides:
            said = ", ".join(f"{name} {value}" for name, value in overrides.items())
            yield f"All rows were loaded as [defaults] of ggufrun.toml says: {said}."
        if left_out := self.prepared.text.left_out:
            yield f"Shorter than one chunk of {CHUNK} tokens, and left out of the text: {', '.join(left_out)}."
        again = next(row for row in rows if row.role is Role.SELF)
        if again.ppl is not None and not _is_zero(again.ppl):
            yield "The self-test failed: the reference differs from itself. Trust no small difference here."
        yield from self.prepared.items.notes
        yield from self._tasks().notes()
        for row in rows:
            if row.error is None and row.name in errors:
                yield f"{row.name}: {errors[row.name]}"


def _is_zero(quality: Quality) -> bool:
    return quality.kld_max == 0.0 and quality.top1_agreement.value == 1.0


def _recommended(
    rows: tuple[Row, ...], text: Qualities, noise: float | None, plan: Plan, place: str
) -> Recommendation | None:
    if not text.of:
        return None
    aims = plan.aims
    return recommend(rows, text.pairs, noise, min_tok_s=aims.min_tok_s, context=aims.context, machine=place)


def _place(aims: Aims, machine: Mapping[str, Any]) -> str:
    """Where it is to run, as it goes on behind "on"."""
    if aims.gpu is not None and aims.gpu.strip().lower() != "none":
        return f"GPUs of {aims.gpu}" if "," in aims.gpu else f"a card of {aims.gpu.partition('@')[0]}"
    gpus = machine["gpus"] if aims.gpu is None else []
    if len(gpus) == 1:
        return f"this {gib(gpus[0]['bytes'])} card"
    return "this machine" if aims.ram is None else f"a machine of {aims.ram.partition('@')[0]}"
