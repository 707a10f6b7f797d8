"""ggufrun's own commands and parts on the card, each a function of a model's file and the folder for results.

usage: python -m benchmarks.gpu.programs NAME FILE OUT
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
from platformdirs import user_cache_path

from benchmarks.gpu.card import settled, used
from benchmarks.gpu.notes import note
from benchmarks.servers import Contender, free_port, running
from ggufrun.engine.backend import Run
from ggufrun.llama.backend import LlamaBackend
from ggufrun.llama.model import Model
from ggufrun.llama.open import open_backend
from ggufrun.llama.vision import LlamaVision
from ggufrun.settings import EngineSettings, ModelSettings
from ggufrun.weights.header import read_header
from tests.tiny_models import cached
from tests.tiny_vision import VisionShape, mmproj

GGUFRUN: Final = (sys.executable, "-m", "ggufrun")
ROOT: Final = Path(__file__).parents[2]


def fit(path: Path, out: Path) -> None:
    """What the command says of the card, and how fast it thinks that the model is."""
    command = [*GGUFRUN, "fit", str(path), "--json"]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    took = time.perf_counter() - start
    plan = json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr[-400:]}
    note(out, "fit", file=path.name, seconds=took, plan=plan)


def doctor(path: Path, out: Path) -> None:
    start = time.perf_counter()
    done = subprocess.run([*GGUFRUN, "doctor", "--json"], capture_output=True, text=True, timeout=90, cwd=ROOT)
    took = time.perf_counter() - start
    said = json.loads(done.stdout) if done.stdout.strip().startswith(("{", "[")) else done.stdout[-400:]
    note(out, "doctor", code=done.returncode, seconds=took, said=said, errors=done.stderr[-400:])


def suite(path: Path, out: Path) -> None:
    """The suite's own check, which needs a card and skips without, then others that load models: onto the card here."""
    _tests(out, "suite", 35, "tests/fit/test_exact.py", "-k", "gpu")
    # Two tests want the real demo model, where a made-up one may have taken its place.
    _tests(out, "suite, more", 25, "tests/llama/test_load.py", "tests/llama/test_breakdown.py",
           "tests/fit/test_probe.py", "tests/llama/test_vision.py", "-k", "not truncated and not adapter")  # fmt: skip


def _tests(out: Path, part: str, limit_s: float, *which: str) -> None:
    """What pytest says, as far as it comes within the limit."""
    command = [sys.executable, "-m", "pytest", *which, "-v", "-rsf", "--tb=line", "-p", "no:cacheprovider"]
    start, code = time.perf_counter(), "late"
    said = out / f"{part.replace(', ', '-')}.txt"
    with said.open("wb") as file, suppress(subprocess.TimeoutExpired):
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, timeout=limit_s, cwd=ROOT)
        code = str(done.returncode)
    seconds, text = round(time.perf_counter() - start, 2), said.read_text("utf-8", "replace")
    failed = [line for line in text.splitlines() if " FAILED " in line or " ERROR " in line]
    note(out, part, code=code, seconds=seconds, passed=text.count(" PASSED"), failed=failed, said=text[-1500:])


def serve(path: Path, out: Path) -> None:
    _served(path, out, "serve")


def _served(path: Path, out: Path, part: str, *options: str, cache: Path | None = None) -> None:
    """One chat over HTTP, twice; then the server is stopped, and the card's memory should be free again."""
    before, start = used(), time.perf_counter()
    command = (*GGUFRUN, "serve", str(path), "--no-ui", "--port", "{port}", "--any-model", "--no-disk-cache")
    with running(Contender("ggufrun", (*command, *options)), cache) as server:
        ready = time.perf_counter() - start
        during, timings = used(), []
        for _ in range(2):
            body = {"model": "x", "messages": [{"role": "user", "content": "Say something."}], "max_tokens": 64}
            asked = time.perf_counter()
            reply = httpx.post(f"{server.base}/v1/chat/completions", json=body, timeout=60, trust_env=False)
            answer: dict[str, Any] = reply.json()
            timings.append(
                {"status": reply.status_code, "seconds": round(time.perf_counter() - asked, 3)}
                | {"usage": answer.get("usage"), "timings": answer.get("timings"), "error": answer.get("message")}
            )
        after = used()
    stop = time.perf_counter()
    freed = settled(before)
    note(out, part, file=path.name, ready_s=ready, replies=timings,
         used={"before": before, "loaded": during, "answered": after, "stopped": freed},
         freed_s=time.perf_counter() - stop)  # fmt: skip


def rpc(path: Path, out: Path) -> None:
    """The same with all layers on a worker that has the card, over loopback."""
    endpoint = f"127.0.0.1:{free_port()}"
    with subprocess.Popen(
        [*GGUFRUN, "rpc-worker", "--listen", endpoint], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT
    ) as worker:
        try:
            line = worker.stdout.readline() if worker.stdout else b""
            note(out, "rpc worker", said=line.decode("utf-8", "replace").strip())
            # the add-on, where RPC is no part of the build, lies in the user's own cache
            _served(path, out, "rpc", "--rpc", endpoint, "--device", "none", cache=user_cache_path())
        finally:
            worker.terminate()
            worker.wait(20)


def agreement(path: Path, out: Path) -> None:
    """The same tokens on the card and on the processor: how far the logits are apart."""
    tokens = np.random.default_rng(2).integers(100, 400, 96).tolist()
    found = []
    for devices in (("none",), ()):  # without layers alone, a card computes large steps all the same
        backend = LlamaBackend.load(ModelSettings(path, context=512, devices=devices), EngineSettings())
        backend.decode([Run(0, 0, tokens, outputs=len(tokens))])
        found.append(np.stack([backend.logits(row).copy() for row in range(len(tokens))]))
        backend.close()
    ours, theirs = found
    apart = float(np.linalg.norm(ours - theirs) / np.linalg.norm(ours))
    same = float((ours.argmax(-1) == theirs.argmax(-1)).mean())
    note(out, "agreement", file=path.name, relative=apart, top_1=same, finite=bool(np.isfinite(theirs).all()))


def embeddings(path: Path, out: Path) -> None:
    """A tiny embedding model's vectors on the card and on the processor."""
    found = []
    tiny = cached("llama-mean-tiny", Path(tempfile.gettempdir()) / "ggufrun-gpu")
    for devices in (("none",), ()):
        backend: Any = open_backend(ModelSettings(tiny, devices=devices), EngineSettings(), lambda _: None).backend
        found.append(backend.embed([list(range(10, 60)), list(range(100, 140))]))
        backend.close()
    ours, theirs = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in found)
    note(out, "embeddings", cosines=(ours * theirs).sum(1).tolist())


def vision(path: Path, out: Path) -> None:
    """An encoder of Mistral Small's size, four of its layers: what the largest picture takes beside the plan's sum."""
    folder = Path(tempfile.gettempdir()) / "ggufrun-gpu"
    text = cached("mistral3-v15", folder)
    size = VisionShape() if os.environ.get("GGUFRUN_GPU_TINY") else VisionShape(1024, 4, 16, 4096)
    encoder = folder / "mmproj.gguf"
    mmproj(encoder, shape=size)
    foreseen = _projector(text, encoder)
    side = 112 if os.environ.get("GGUFRUN_GPU_TINY") else 1540
    pixels = np.random.default_rng(3).integers(0, 256, (side, side, 3), np.uint8).tobytes()
    small = np.random.default_rng(4).integers(0, 256, (112, 112, 3), np.uint8).tobytes()
    model = Model.load(ModelSettings(text, gpu_layers=999))
    eyes = LlamaVision(encoder, model, threads=8, gpu=True)
    steps, seconds = {"model": used()}, []
    near = eyes.encode(112, 112, small)
    steps["small"] = used()
    for _ in range(2):
        start = time.perf_counter()
        eyes.encode(side, side, pixels)
        seconds.append(round(time.perf_counter() - start, 4))
    steps["large"] = used()
    eyes.close()
    other = LlamaVision(encoder, model, threads=8, gpu=False)
    far = other.encode(112, 112, small)
    other.close()
    model.close()
    apart = float(np.linalg.norm(near - far) / np.linalg.norm(far))
    note(out, "vision", side=side, seconds=seconds, used=steps, foreseen=foreseen, relative=apart)


def _projector(text: Path, encoder: Path) -> int:
    from ggufrun.fit.subject import Subject

    return Subject(text, (read_header(text),), "text", projector=read_header(encoder)).projector_bytes


PROGRAMS: Final[Mapping[str, Callable[[Path, Path], None]]] = {
    "fit": fit,
    "doctor": doctor,
    "suite": suite,
    "serve": serve,
    "rpc": rpc,
    "agreement": agreement,
    "embeddings": embeddings,
    "vision": vision,
}


def main(name: str, file: str, folder: str) -> None:
    PROGRAMS[name](Path(file), Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
