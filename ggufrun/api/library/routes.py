"""/ggufrun/v1/library: models on this machine and on the hub, and what fits. Pulls and checks are `job_routes`'."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from ggufrun.api.calls.call import Administered
from ggufrun.api.docs import errors
from ggufrun.api.library.desk import Desk
from ggufrun.api.library.library import Wanted
from ggufrun.api.library.replies import (
    Fit,
    FoundRepo,
    FoundRepos,
    LibraryCard,
    LibraryCards,
    LibraryMachine,
    LocalModel,
    LocalModels,
    Removed,
    ShownRepo,
)
from ggufrun.errors import OptionError
from ggufrun.settings import EngineOverrides, FlashAttention, KvType, ModelOverrides

router = APIRouter(prefix="/ggufrun/v1/library", tags=["library"])
_HERE: Final = errors(400, 401, 403, 429)
_HUB: Final = errors(400, 401, 403, 404, 422, 429, 502, 503)


def open_desk(gateway: Administered) -> Desk:
    """The dependency of every route of the library: for those who may manage, on a server that has one."""
    if gateway.library is None:
        raise OptionError("This server has no library.", "Start it with `ggufrun serve`.")
    return gateway.library


Asked = Annotated[Desk, Depends(open_desk)]


class PlanQuery(BaseModel):
    """What /show and /fit plan. Knobs that are not given are the planner's."""

    spec: str = Field(description="A card's name or owner/repo, either with :QUANT; for /fit what is here, too.")
    revision: str | None = Field(None, description="A branch, a tag or a commit; without: main.")
    context: int | None = Field(None, ge=16, lt=2**31, description="In tokens.")
    kv_type: KvType | None = None
    gpu_layers: int | Literal["auto"] | None = None
    flash_attention: FlashAttention | None = None
    parallel: int | None = Field(None, ge=1, le=128, description="Answers generated at once.")
    batch: int | None = Field(None, ge=1, lt=2**31, description="Tokens in one step of the model.")
    gpu: str | None = Field(None, description="Plan for these GPUs, as in 24GiB,12GiB@1008 (GB/s); none: without.")
    ram: str | None = Field(None, description="Plan for this much RAM, as in 64GiB.")
    mmproj: bool = Field(True, description="With the part that sees images; for /fit.")

    def wanted(self) -> Wanted:
        given = self.model_dump(exclude_none=True)
        names = ModelOverrides.__annotations__.keys() & given.keys() - {"mmproj"}  # here it says whether, not which
        model: Any = {name: given[name] for name in names}
        engine: Any = {name: given[name] for name in EngineOverrides.__annotations__.keys() & given.keys()}
        return Wanted(self.spec, self.revision, model, engine, self.gpu, self.ram, self.mmproj)


Planned = Annotated[PlanQuery, Query()]


@router.get("/local", summary="List the models on this machine", responses=_HERE)
async def local_models(desk: Asked, request: Request) -> LocalModels:
    """Other programs' too, and those that are here in part only. No file is read."""
    found = await desk.ask(request, desk.library.local)
    return LocalModels(data=[LocalModel.model_validate(each) for each in found])


@router.delete("/local/{name:path}", summary="Delete a model's files", responses=errors(400, 401, 403, 404, 429))
async def remove_local(name: str, desk: Asked, gateway: Administered, request: Request) -> Removed:
    """Not while it is served, nor where it belongs to another program."""
    in_use = {model.path for model in gateway.models.served() if model.path}
    return Removed.model_validate(await desk.ask(request, lambda: desk.library.remove(name, in_use)))


@router.get("/cards", summary="List the models that are known", responses=_HERE)
async def library_cards(desk: Asked, request: Request) -> LibraryCards:
    found = await desk.ask(request, desk.library.cards)
    return LibraryCards(data=[LibraryCard.model_validate(each) for each in found])


@router.get("/search", summary="Find GGUF repositories on the hub", responses=_HUB)
async def search_hub(
    q: Annotated[str, Query(description="What the name must hold.", max_length=200, examples=["ministral"])],
    desk: Asked,
    request: Request,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> FoundRepos:
    found = await desk.ask(request, lambda: desk.library.search(q, limit))
    return FoundRepos(data=[FoundRepo.model_validate(each) for each in found])


@router.get("/show", summary="Show a repository's quants, and which of them fit", responses=_HUB)
async def show_repo(query: Planned, desk: Asked, request: Request) -> ShownRepo:
    return ShownRepo.model_validate(await desk.ask(request, lambda: desk.library.show(query.wanted())))


@router.get("/fit", summary="Plan how a model would be loaded", responses=_HUB)
async def fit_model(query: Planned, desk: Asked, request: Request) -> Fit:
    """By its header alone: nothing else is downloaded."""
    return Fit.model_validate(await desk.ask(request, lambda: desk.library.fit(query.wanted())))


@router.get("/machine", summary="This machine: devices, memory and disk", responses=_HERE)
async def this_machine(desk: Asked, request: Request) -> LibraryMachine:
    return LibraryMachine.model_validate(await desk.ask(request, desk.library.machine))
