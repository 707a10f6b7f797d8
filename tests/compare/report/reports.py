"""A report as a run makes it, of made-up but plausible figures: a 24B model in six quants, with all parts."""

from dataclasses import replace
from typing import Any, Final

from ggufrun.compare.results import (
    Depth,
    Divergence,
    Figure,
    Greedy,
    Memory,
    Pair,
    Quality,
    Recommendation,
    Report,
    Role,
    Row,
    Speed,
    TaskResult,
)

GIB: Final = 1 << 30
LADDER: Final = (  # quant, GB, bits per weight, mean KL divergence, same top
    ("Q8_0", 25.05, 8.5, 0.0, 1.0),
    ("Q6_K", 19.35, 6.57, 0.0041, 0.968),
    ("Q4_K_M", 14.33, 4.87, 0.0287, 0.921),
    ("UD-Q4_K_XL", 14.55, 4.94, 0.0279, 0.923),
    ("Q3_K_M", 11.47, 3.9, 0.0836, 0.87),
    ("Q2_K", 8.89, 3.02, 0.334, 0.711),
)
PARTS: Final = ("notes.md", "prose", "code", "chats")
HOSTILE: Final = "<script>alert('x')</script>\x1b[31m$\\frac{1}$&_\udcff.gguf"
PROMPT: Final = "Why is the sky blue? Answer in two sentences."
REFERENCE_ANSWER: Final = (
    "The sky looks blue because molecules of air scatter short waves of light much more than long ones. "
    "At noon that scattered blue reaches us from everywhere, while the red passes nearly straight."
)


def figure(value: float, share: float = 0.06) -> Figure:
    return Figure(value, value * (1 - share), value * (1 + share))


def quality(kld: float, same_top: float = 0.92, times: float = 1.0) -> Quality:
    kld *= times
    return Quality(
        positions=10_200,
        chunks=40,
        not_finite=0,
        ppl=figure(5.9 * (1 + kld), 0.04),
        ln_ppl_ratio=Figure(kld * 0.8, kld * 0.7, kld * 0.9),
        kld_mean=figure(kld),
        kld_median=figure(kld * 0.3),
        kld_p90=figure(kld * 2.4),
        kld_p99=figure(kld * 9),
        kld_p999=figure(kld * 30),
        kld_max=kld * 95,
        rms_dp=figure(0.3 * kld**0.5),
        mean_dp=Figure(-kld / 5, -kld / 4, -kld / 6),
        top1_agreement=Figure(same_top, max(same_top - 0.006, 0), min(same_top + 0.006, 1)),
        depths=tuple(
            Depth(lo, hi, 2_000, figure(kld * (1 + number / 5)))
            for number, (lo, hi) in enumerate(((0, 64), (64, 128), (128, 256), (256, 512)))
        ),
        parts={part: figure(kld * (0.6 + number / 3)) for number, part in enumerate(PARTS)},
    )


def greedy(agreed: int) -> tuple[Greedy, ...]:
    """Of two prompts: one answer that parts from the reference's, one that does not."""
    parting = REFERENCE_ANSWER.index(" scatter")
    answer = f"{REFERENCE_ANSWER[:parting]} bend blue light, and the eye sees little of the violet."
    return (
        Greedy(
            PROMPT,
            REFERENCE_ANSWER,
            answer,
            agreed,
            44,
            Divergence(agreed, " scatter", " bend", 0.61, 0.22, 0.47, 0.31),
        ),
        Greedy("Name a prime number.", "Seven is one: 7.", "Seven is one: 7.", 8, 8, None),
    )


def tasks(lost: int, of_reference: bool = False) -> tuple[TaskResult, ...]:
    right = 310 - lost
    gained, lost, p = (0, 0, None) if of_reference else (4, lost + 4, min(1.0, 0.8**lost))
    more = {"schema_valid": 0.97, "right_function": 0.93, "right_arguments": right / 400}
    return (
        TaskResult("tools-free", 400, right, figure(right / 400), gained, lost, p, False, more),
        TaskResult("choices", 40, 22, figure(0.55, 0.2), gained, lost, p, True),
    )


def row(quant: str, size: float, bpw: float, kld: float, same_top: float, number: int = 0, **more: Any) -> Row:
    reference = more.get("role") is Role.REFERENCE
    tok_s = 13 + 260 / size
    made = Row(
        name=quant,
        file=f"Mistral-Small-3.2-24B-Instruct-2506-{quant}.gguf",
        quant=quant,
        kv_type="f16",
        role=Role.QUANT,
        bytes=int(size * 1e9),
        bpw=bpw,
        sha256=f"{number:064x}",
        ppl=quality(kld, same_top),
        chat=quality(kld, same_top, 1.7),
        greedy=greedy(12) if not reference else (),
        tasks=tasks(number * 3, reference),
        speed=Speed(
            Figure(4000 / size, 3900 / size, 4100 / size),
            512,
            figure(tok_s, 0.02),
            128,
            {1024: (figure(3600 / size), figure(tok_s * 0.96, 0.02))},
            Figure(0.25 * (number + 1)),
        ),
        memory=Memory(int(size * 1e9 + 6.1 * GIB), int(size * 1e9 + 5.9 * GIB), 2.4 + size / 4, 49_152, 3 * GIB),
    )
    return replace(made, **more)


def ladder() -> tuple[Row, ...]:
    """The reference first."""
    roles = {"Q8_0": Role.REFERENCE}
    return tuple(row(*each, number=number, role=roles.get(each[0], Role.QUANT)) for number, each in enumerate(LADDER))


def full() -> Report:
    """With a KV row, the self-test, the noise, and a row that failed."""
    reference, *quants = ladder()
    failed = row("IQ1_S", 6.06, 2.06, 0, 0, 8, ppl=None, chat=None, greedy=(), tasks=(), speed=None, memory=None)
    rows = (
        reference,
        *quants,
        replace(row("Q4_K_M", 14.33, 4.87, 0.0312, 0.918, 7), name="Q4_K_M kv q8_0", kv_type="q8_0"),
        replace(failed, error="Mistral-Small-IQ1_S.gguf: the file is cut short: 1.2 of 6.1 GB. Download it again."),
        replace(reference, name="Q8_0 (again)", role=Role.SELF, tasks=(), speed=None),
        replace(reference, name="Q8_0 (noise)", role=Role.NOISE, ppl=quality(0.000084, 0.996), tasks=(), speed=None),
    )
    return Report(
        title="Mistral-Small-3.2-24B-Instruct-2506, 7 rows",
        model="Mistral-Small-3.2-24B-Instruct-2506",
        reference="Q8_0",
        created=1_790_000_000.0,
        rows=rows,
        pairs=pairs([each for each in rows if each.ppl]),
        pairs_chat=(),
        noise=0.000084,
        texts=PARTS,
        text_sha256="ab" * 32,
        settings={"level": "default", "chunks": 40, "context": 49_152, "kv_types": ["f16", "q8_0"], "gpu": None},
        hardware={"cpu": "AMD Ryzen 9 7950X", "ram": 64 * GIB, "gpus": ["NVIDIA RTX 4090, 24 GB"]},
        versions={"ggufrun": "0.1.0", "llama-cpp-python": "0.3.36", "llama.cpp": "b11434"},
        notes=("The reference is Q8_0, itself a quant: differences under 0.0014 nats mean nothing.",),
        recommendation=Recommendation("Q6_K", "Q6_K: smallest that is near lossless on your text; next: Q8_0."),
    )


def pairs(rows: list[Row]) -> tuple[Pair, ...]:
    """Q4_K_M and UD-Q4_K_XL are tied, all others are not."""
    found = []
    for number, a in enumerate(rows):
        for b in rows[number + 1 :]:
            assert a.ppl and b.ppl
            difference = a.ppl.kld_mean.value - b.ppl.kld_mean.value
            tied = {a.name, b.name} == {"Q4_K_M", "UD-Q4_K_XL"}
            ends = (-0.0004, 0.002) if tied else (difference * 0.9, difference * 1.1)
            p = 0.13 if tied else float(difference < 0)
            found.append(Pair(a.name, b.name, Figure(difference, min(ends), max(ends)), p, tied))
    return tuple(found)


def hostile() -> Report:
    """Names, prompts and answers that want to be HTML, terminal codes, mathematics or no text at all."""
    whole = full()
    spoiled = replace(
        whole.rows[2],
        name=HOSTILE,
        file=HOSTILE,
        quant="<b>Q4</b>",
        error=None,
        greedy=tuple(replace(each, prompt=HOSTILE, answer=HOSTILE, reference=HOSTILE) for each in whole.rows[2].greedy),
    )
    failed = replace(whole.rows[7], name="=1+1", error="</td><img src=x onerror=alert(1)>")
    rows = (whole.rows[0], whole.rows[1], spoiled, failed)
    return replace(
        whole, title=HOSTILE, model=HOSTILE, rows=rows, texts=(HOSTILE,), notes=(HOSTILE,), pairs=(),
        settings={HOSTILE: [HOSTILE]}, hardware={"cpu": HOSTILE}, recommendation=Recommendation(HOSTILE, HOSTILE),
    )  # fmt: skip


def unfinished() -> Report:
    """Stopped early: some rows have nothing yet."""
    whole = full()
    empty: dict[str, Any] = {"ppl": None, "chat": None, "greedy": (), "tasks": (), "speed": None, "memory": None}
    rows = (
        replace(whole.rows[0], chat=None, tasks=(), speed=None),
        replace(whole.rows[1], **empty),
        replace(whole.rows[2], **empty),
    )
    return replace(whole, rows=rows, pairs=(), noise=None, recommendation=None, unfinished=True)
