"""GET /ggufrun/v1/key: the key that asks, without its secret. For programs that show who is logged in."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from ggufrun.api.calls.call import Caller
from ggufrun.api.docs import errors
from ggufrun.api.manage.control import LOCAL_KEY

router = APIRouter(prefix="/ggufrun/v1", tags=["server"])


class OwnKey(BaseModel):
    name: str | None = Field(description="null: no key, where none is needed.")
    scope: Literal["chat", "admin"] = Field(description="admin may also manage the server.")
    models: list[str] = Field(description="The models that it may use; empty: all.")
    tokens_per_day: int | None


@router.get("/key", summary="The key that asks", responses=errors(401, 403))
async def own_key(key: Caller) -> OwnKey:
    if key is None or key is LOCAL_KEY:
        return OwnKey(name=None, scope="chat" if key is None else "admin", models=[], tokens_per_day=None)
    return OwnKey(name=key.name, scope=key.scope, models=list(key.models), tokens_per_day=key.tokens_per_day)
