"""Puts the report together: machine, llama.cpp, proof, and a model's files. Nothing is redacted or printed here."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from platformdirs import user_cache_path

from ggufrun.doctor.build import Build, broken_build, judge_build, read_build
from ggufrun.doctor.checksum import Progress, check_sums
from ggufrun.doctor.file_check import check_files, damaged, tensor_types
from ggufrun.doctor.finding import Finding, Report, Section
from ggufrun.doctor.graphics import Drivers, SystemGpu, read_drivers, system_gpus
from ggufrun.doctor.machine import SystemFacts, read_system
from ggufrun.doctor.memory_speed import memory_speed
from ggufrun.doctor.projector_check import check_projectors
from ggufrun.doctor.proof import Proof, failed_proof, judge_proof, prove
from ggufrun.doctor.reading import read_in_a_process
from ggufrun.errors import EngineError, ModelFileError
from ggufrun.figures import bandwidth, billions, gb, gib
from ggufrun.fit.bandwidth import gpu_bandwidth
from ggufrun.store.resolve import ResolvedModel, resolve
from ggufrun.weights.quants import quant_of

Saying = Callable[[str], AbstractContextManager[object]]  # shows what is being done, as long as the block lasts


def examine(spec: str | None, saying: Saying = nullcontext, on_progress: Progress | None = None) -> Report:
    """`spec` is what `resolve` takes; it raises ModelNotFound and OptionError. Damage is a finding."""
    found: ResolvedModel | ModelFileError | None = None
    if spec is not None:
        try:
            found = resolve(spec)
        except ModelFileError as error:
            found = error
    with saying("Looking at the machine"), ThreadPoolExecutor(4) as pool:
        asked = pool.submit(read_build)
        facts, gpus, drivers = pool.submit(read_system), pool.submit(system_gpus), pool.submit(read_drivers)
        try:
            build: Build | EngineError = asked.result()
        except EngineError as error:
            build = error
    with saying("Measuring the memory"):  # with nothing else of ours running
        speed, slow = memory_speed(user_cache_path("ggufrun", appauthor=False))
    machine = _machine(facts.result(), speed, slow, gpus.result(), drivers.result())
    sections = [machine, _build(build, facts.result(), gpus.result(), drivers.result())]
    if isinstance(build, Build):
        with saying("Measuring with a small model"):
            sections.append(_proof(gpu=bool(build.gpus)))
    if found is not None:
        with saying("Reading the model"):
            sections.append(model_section(found, on_progress, native=isinstance(build, Build)))
    return Report(tuple(sections))


def model_section(
    found: ResolvedModel | ModelFileError, on_progress: Progress | None = None, *, native: bool
) -> Section:
    """`native`: llama.cpp is asked, too. An error is what `resolve` raised for the file."""
    if isinstance(found, ModelFileError):
        return _damaged(found, on_progress)
    return _model(found, on_progress, native=native)


def _machine(
    system: SystemFacts, speed: float, slow: tuple[Finding, ...], gpus: tuple[SystemGpu, ...], drivers: Drivers
) -> Section:
    facts = (
        ("ggufrun", _version()),
        ("system", system.system + (f", in a {system.inside}" if system.inside == "container" else "")),
        ("Python", f"{system.python}, {system.bits} bit"),
        ("processor", f"{system.processor}, {system.cores} cores of {system.threads} threads"),
        ("features", ", ".join(system.features) or "not known"),
        ("memory", f"{gib(system.ram_total)}, {gib(system.ram_free)} free, {bandwidth(speed)}"),
        ("GPUs", ", ".join(gpu.name for gpu in gpus) or "none found"),
        ("driver", drivers.words),
    )
    findings = list(slow)
    if system.bits != 64:
        hint = "Install a 64-bit Python."
        findings.append(Finding("Python", "fault", "This Python has 32 bits, and models need more.", hint))
    if system.inside == "WSL":
        hint = "Keep the models on WSL's own disk."
        findings.append(Finding("system", "note", "This is WSL: files under /mnt are read slowly.", hint))
    data = {
        **asdict(system),
        "ram_bandwidth": speed,
        "gpus": [asdict(gpu) for gpu in gpus],
        "drivers": asdict(drivers),
    }
    return Section("machine", facts, tuple(findings), {"ggufrun": _version(), **data})


def _build(build: Build | EngineError, system: SystemFacts, gpus: tuple[SystemGpu, ...], drivers: Drivers) -> Section:
    if isinstance(build, EngineError):
        return Section("llama.cpp", (), (broken_build(build),))
    seen = (
        f"{each.name} ({each.description}), {gib(each.total)}, {gib(each.free)} free,"
        f" about {bandwidth(gpu_bandwidth(each.description, each.total))}"
        for each in build.gpus
    )
    facts = (
        ("version", f"{build.llama}, llama-cpp-python {build.binding}"),
        ("backends", ", ".join(build.backends)),
        ("compiled for", build.features.partition(" : ")[2].replace(" = 1", "").replace(" | ", ", ")),
        ("sees", "; ".join(seen) or "no GPU"),
    )
    return Section("llama.cpp", facts, judge_build(build, system.features, gpus, drivers), asdict(build))


def _proof(*, gpu: bool) -> Section:
    try:
        proof: Proof = prove(gpu=gpu)
    except EngineError as error:
        return Section("measured", (), (failed_proof(error),))
    return Section("measured", (), (judge_proof(proof),), asdict(proof))


def _model(found: ResolvedModel, on_progress: Progress | None, *, native: bool) -> Section:
    header = found.header
    files = [path.name for path in found.shards]
    quant = quant_of(found.path, header)
    facts = (
        ("name", found.name + (f" ({header.text('general.name')})" if header.text("general.name") else "")),
        ("file", str(found.path) + (f" and {len(files) - 1} more" if len(files) > 1 else "")),
        (
            "size",
            f"{gb(found.size)}, {quant or 'unknown quant'}, {billions(found.parameters)} weights",
        ),
        ("kind", header.architecture),
    )
    data = {
        "name": found.name,
        "files": [str(path) for path in found.shards],
        "bytes": found.size,
        "quant": quant,
        "architecture": header.architecture,
        "parameters": found.parameters,
        "tensor_types": tensor_types(header),
        "context": header.context_train,
    }
    return Section("model", facts, tuple(_findings(found, on_progress, native=native)), data)


def _findings(found: ResolvedModel, on_progress: Progress | None, *, native: bool) -> Iterator[Finding]:
    yield from check_files(found)
    checked, meant = check_projectors(found)
    yield from checked
    yield from check_sums([*found.shards, *meant], on_progress)
    if native:
        yield from read_in_a_process(found.path, found.card.tokenizer if found.card else None)


def _damaged(error: ModelFileError, on_progress: Progress | None) -> Section:
    """A file that is cut off or changed may have a sum that says so, too."""
    path = error.path
    findings: tuple[Finding, ...] = (damaged(error),)
    if path.is_file():
        findings += tuple(each for each in check_sums([path], on_progress) if each.level != "note")
    facts = (("file", str(path)), *((("size", f"{path.stat().st_size:,} bytes"),) if path.is_file() else ()))
    data: dict[str, Any] = {"files": [str(path)], "bytes": path.stat().st_size if path.is_file() else None}
    return Section("model", facts, findings, data)


def _version() -> str:
    try:
        return version("ggufrun")
    except PackageNotFoundError:
        return "from a checkout"
