"""The notes of a run as Markdown: memory, speed, and what else there was."""

import json
import statistics
from collections.abc import Iterable, Sequence
from typing import Any, Final

from benchmarks.gpu.notes import Row

_MIB: Final = 1 << 20
_KINDS: Final = ("weights", "kv", "compute")


def report(rows: Sequence[Row]) -> str:
    return f"{tables(rows)}\n{_rest(rows)}\n"


def tables(rows: Sequence[Row]) -> str:
    return "\n\n".join(filter(None, (_card(rows), _memory(rows), _speed(rows), _tight(rows)))) + "\n"


def _card(rows: Sequence[Row]) -> str:
    found = [row for row in rows if row["part"] == "card"]
    return "\n".join(
        f"{row['name']}, driver {row['driver']}, {_mib(row['total'])} MiB, copies {row['copy'] / 1e12:.2f} TB/s"
        for row in found
    )


def _memory(rows: Sequence[Row]) -> str:
    """MiB on the cards: by formula, as probed, as it is; then what the driver says is in use beside that."""
    lines: list[tuple[object, ...]] = []
    for row in rows:
        if row["part"] != "memory":
            continue
        name = (row["file"].removesuffix(".gguf"), "" if row.get("layers", 999) > 99 else row["layers"], row["case"])
        if "error" in row:
            lines.append((*name, row["error"]))
            continue
        formula, probe, real = (_on_gpus(row[key]) for key in ("formula", "probe", "real"))
        kinds = " / ".join(_mib(real[kind]) for kind in _KINDS)
        off = [sum(each.values()) - sum(real.values()) for each in (formula, probe)]
        seconds = " ".join(f"{kind}: {took}" for kind, took in row["seconds"].items())
        lines.append(
            (*name, _mib(sum(formula.values())), _mib(sum(probe.values())), _mib(sum(real.values())), kinds,
             _mib(off[0]), _mib(off[1]), _mib(row["beyond"]), seconds)
        )  # fmt: skip
    titles = ("model", "layers", "case", "formula", "probe", "real", " / ".join(_KINDS), "formula - real",
              "probe - real", "beyond", "seconds")  # fmt: skip
    return _table(titles, lines)


def _speed(rows: Sequence[Row]) -> str:
    """Tokens a second; "alone" is llama-bench's, or where there is none of the same calls in this process."""

    def of(part: str, file: str) -> Row:
        return next((row for row in rows if row["part"] == part and row.get("file") == file), {})

    keys = ("pp512", "pp4096", "tg128", "tg128_deep", "steps_alone", "tg128_x8", "tg128_x16", "tg16_card", "load_s")
    lines = []
    for file in dict.fromkeys(row["file"] for row in rows if row["part"] == "speed"):
        row = {
            key: value for row in rows if row["part"] == "speed" and row["file"] == file for key, value in row.items()
        }
        row |= _medians(rows, "turn", file)
        peer, bound = _medians(rows, "peer", file) or of("bare", file), of("bound", file)
        planned = next((r["tok_s"] for r in rows if r["part"] == "plan" and r.get("file") == file and r["exact"]), None)
        ratio = round(row["tg128"] / peer["tg128"], 3) if peer.get("tg128") and row.get("tg128") else ""
        prompts = round(row["pp512"] / peer["pp512"], 3) if peer.get("pp512") and row.get("pp512") else ""
        theirs = (peer.get("pp512", ""), peer.get("tg128", ""), prompts, ratio)
        ours = (row.get(key, "") for key in keys)
        limits = (_rounded(bound.get("tok_s")), _rounded(planned))
        lines.append((file.removesuffix(".gguf"), *ours, *theirs, *limits))
    titles = ("model", *keys, "alone pp512", "alone tg128", "ours / its pp", "ours / its tg", "bound", "ggufrun fit")
    return _table(titles, lines)


def _medians(rows: Sequence[Row], part: str, file: str) -> Row:
    """Of the two figures that the engine and llama-bench made in turn."""
    found = {key: [row[key] for row in rows if row["part"] == part and row["file"] == file and key in row]
             for key in ("pp512", "tg128")}  # fmt: skip
    return {key: round(statistics.median(values), 2) for key, values in found.items() if values}


def _tight(rows: Sequence[Row]) -> str:
    keys = ("verdict", "context", "kv_type", "flash", "layers", "overrides", "tok_s")
    lines = [
        (row["file"], row["gib"], _mib(row["free"]), *(row.get(key, "") for key in keys), _mib(row.get("least_left")),
         json.dumps(row.get("seconds")))
        for row in rows
        if row["part"] == "tight"
    ]  # fmt: skip
    return _table(("model", "GiB", "free", *keys, "least left", "seconds"), lines)


def _rest(rows: Sequence[Row]) -> str:
    shown = ("written", "load", "unload", "plan", "serve", "rpc worker", "rpc", "agreement", "embeddings", "vision",
             "suite", "suite, more", "doctor", "fit", "turn", "peer", "step", "left out")  # fmt: skip
    return "\n".join(f"- {row['part']}: {json.dumps(row)[:700]}" for row in rows if row["part"] in shown)


def _on_gpus(sizes: dict[str, dict[str, int]]) -> dict[str, int]:
    """Of all GPUs together; of RAM where there is none."""
    places = [name for name in sizes if name != "RAM"] or ["RAM"]
    return {kind: sum(sizes[name][kind] for name in places) for kind in _KINDS}


def _mib(size: Any) -> str:
    return "" if size is None else f"{size / _MIB:.0f}"


def _rounded(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _table(titles: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    body = ["| " + " | ".join(map(str, line)) + " |" for line in lines]
    return "\n".join(["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles), *body]) if body else ""
