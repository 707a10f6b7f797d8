"""/ggufrun/v1/presets: settings of chats that are saved by name, each key its own."""

from typing import Annotated

from fastapi import APIRouter, Path

from ggufrun.api.chats.bodies import PresetBody
from ggufrun.api.chats.owned import Chats, refused
from ggufrun.api.chats.replies import Deleted, PresetList, PresetReply

router = APIRouter(prefix="/ggufrun/v1/presets", tags=["chats"])
_Name = Annotated[str, Path(min_length=1, max_length=100)]


@router.get("", summary="List the presets", responses=refused(400, 401, 403, 500, 503))
async def list_presets(chats: Chats) -> PresetList:
    found = await chats.stored(chats.store.presets.listed, chats.owner)
    return PresetList(data=[PresetReply(name=name, **preset) for name, preset in found])


@router.put("/{name:path}", summary="Save a preset", responses=refused(400, 401, 403, 413, 422, 500, 503))
async def save_preset(name: _Name, body: PresetBody, chats: Chats) -> PresetReply:
    """Instead of an earlier one of this name."""
    preset = {"model": body.model, "settings": body.settings.written()}
    await chats.stored(chats.store.presets.put, chats.owner, name, preset)
    return PresetReply(name=name, model=body.model, settings=body.settings.written())


@router.delete("/{name:path}", summary="Delete a preset", responses=refused(400, 401, 403, 404, 422, 500, 503))
async def delete_preset(name: _Name, chats: Chats) -> Deleted:
    await chats.stored(chats.store.presets.delete, chats.owner, name)
    return Deleted(id=name)
