"""The replies of the library's routes. Sizes in bytes, speeds in bytes a second, contexts in tokens."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ggufrun.api.library.jobs import OVER, Job, JobState

Verdict = Literal["fits", "offload", "too large"]
_VERDICT = "`fits`: all on the GPU, or in RAM without one; `offload`: a part of it in RAM. null: not known."


class Partial(BaseModel):
    bytes: int = Field(description="What is here.")
    of: int | None = Field(description="null: nobody knows.")


class LocalModel(BaseModel):
    """As `ggufrun list --json` has it."""

    name: str
    quant: str | None
    bytes: int
    source: str = Field(description="models, package, hub, lmstudio or ollama.")
    card: str | None
    partial: Partial | None = Field(description="null: it is whole.")
    modified: datetime
    files: list[str]
    projectors: list[str]


class LocalModels(BaseModel):
    data: list[LocalModel]


class Removed(BaseModel):
    name: str
    freed_bytes: int


class LibraryCard(BaseModel):
    """A model that is known: what a GGUF cannot say of itself."""

    name: str
    aliases: list[str]
    description: str
    repo: str
    revision: str | None
    url: str
    licence: str
    parameters: int
    context: int
    default_context: int | None
    efforts: list[str] = Field(description="What its reasoning may be told; the first is the default.")
    mmproj: bool = Field(description="Whether it has a part that sees images.")
    install: str = Field(description='How to get it where it comes as a Python package; "": from the hub.')
    here: list[str] = Field(description="Its models on this machine, as /library/local names them.")


class LibraryCards(BaseModel):
    data: list[LibraryCard]


class FoundRepo(BaseModel):
    repo: str
    downloads: int = Field(description="In the last 30 days.")
    likes: int
    modified: str
    licence: str
    gated: bool
    private: bool
    card: str | None


class FoundRepos(BaseModel):
    data: list[FoundRepo]


class ShownQuant(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str
    bytes: int
    bits_per_weight: float | None
    files: list[str]
    verdict: Verdict | None = Field(description=_VERDICT)
    context: int | None
    here: bool
    exact: bool | None = Field(description="Planned by its own header; false: estimated from another quant's.")


class ShownProjector(BaseModel):
    file: str
    bytes: int


class ShownRepo(BaseModel):
    """As `ggufrun show --json` has it."""

    model_config = ConfigDict(extra="allow")

    repo: str
    card: str | None
    commit: str
    modified: str
    licence: str
    gated: bool
    private: bool
    parameters: int | None
    quants: list[ShownQuant]
    mmproj: list[ShownProjector]
    best: str | None
    why: str | None
    notes: list[str]


class DevicePlan(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str
    weight_bytes: int
    kv_bytes: int
    compute_bytes: int
    mmproj_bytes: int
    needed_bytes: int
    free_bytes: int
    total_bytes: int
    margin_bytes: int
    fits: bool


class Fit(BaseModel):
    """As `ggufrun fit --json` has it."""

    model_config = ConfigDict(extra="allow")

    model: str
    note: str | None
    context: int
    kv_type: str
    gpu_layers: int
    layers: int
    devices: list[DevicePlan]
    fits: bool
    verdict: Verdict
    why: list[str]
    other_quants: dict[str, str] = Field(description="Estimated from their sizes, in words.")


class MachineGpu(BaseModel):
    name: str
    description: str
    total_bytes: int
    free_bytes: int
    margin_bytes: int = Field(description="What a plan leaves free.")
    bytes_per_s: float
    known: str = Field(description="How the speed is known: measured or estimated.")
    shares_ram: bool


class MachineRam(BaseModel):
    total_bytes: int
    free_bytes: int
    margin_bytes: int
    bytes_per_s: float
    known: str


class MachineDisk(BaseModel):
    folder: str = Field(description="Where pulls go.")
    total_bytes: int
    free_bytes: int


class LibraryMachine(BaseModel):
    gpus: list[MachineGpu]
    ram: MachineRam
    disk: MachineDisk
    measures: bool = Field(description="Whether llama.cpp can be asked what a model takes; else formulas estimate it.")


class JobFile(BaseModel):
    file: str
    state: str = Field(
        description="coming, waiting (another process fetches it), fetching, checking, here; of a check: reading."
    )
    done: int
    size: int


class LibraryJob(BaseModel):
    """Work that goes on by itself, whoever watches it."""

    id: str
    state: JobState
    error: str = Field(description="Why it failed.")
    notes: list[str]
    files: list[JobFile] = Field(description="Those that are known so far, in their order.")
    done: int = Field(description="Bytes of all files.")
    size: int
    created: datetime
    ended: datetime | None


class Pulled(BaseModel):
    name: str = Field(description="What POST /ggufrun/v1/models takes for it.")
    path: str = Field(description="The file that is loaded.")


class PullJob(LibraryJob):
    spec: str
    revision: str | None
    mmproj: bool
    result: Pulled | None

    @classmethod
    def of(cls, job: Job) -> "PullJob":
        return cls.model_validate(_fields(job))


class PullJobs(BaseModel):
    data: list[PullJob]


class CheckedModel(BaseModel):
    name: str
    state: Literal["right", "wrong", "partial"]
    says: str
    hint: str


class Checked(BaseModel):
    data: list[CheckedModel]


class VerifyJob(LibraryJob):
    names: list[str]
    result: Checked | None

    @classmethod
    def of(cls, job: Job) -> "VerifyJob":
        return cls.model_validate(_fields(job))


class VerifyJobs(BaseModel):
    data: list[VerifyJob]


def _fields(job: Job) -> dict[str, object]:
    """As it is now: its thread goes on, so its state is read before the rest."""
    state = job.state
    files, ended = job.files, job.ended if state in OVER else None
    return {
        **job.asked,
        "id": job.id,
        "state": state,
        "error": job.error,
        "notes": job.notes,
        "files": [
            {"file": name, "state": file.state, "done": file.done, "size": file.size} for name, file in files.items()
        ],
        "done": sum(file.size if file.state == "checking" else file.done for file in files.values()),
        "size": sum(file.size for file in files.values()),
        "created": datetime.fromtimestamp(job.created, UTC),
        "ended": datetime.fromtimestamp(ended, UTC) if ended is not None else None,
        "result": job.result,
    }
