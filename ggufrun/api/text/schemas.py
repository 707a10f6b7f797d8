"""POST /v1/schema/check: what of a JSON schema would be enforced, rewritten, refused or checked afterwards."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from ggufrun.api.calls.call import authorized
from ggufrun.api.conversation.incoming import Body
from ggufrun.api.docs import errors
from ggufrun.chat.schema_check import Fault
from ggufrun.chat.schema_report import SchemaReport, schema_report

router = APIRouter()


class SchemaCheckBody(Body):
    """`strict`: as it is in `response_format.json_schema`."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"schema": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}, "strict": False}
        }
    )

    # "schema" is a method's name of pydantic's own, so the field has another
    definition: Annotated[dict[str, Any] | bool, Field(alias="schema")]
    strict: bool | None = None


class Keyword(BaseModel):
    """A keyword of the schema, by its JSON pointer."""

    pointer: str
    keyword: str


class Refused(Keyword):
    reason: str


class SchemaCheck(BaseModel):
    strict: bool = Field(description="Whether the schema may be used with `strict: true`.")
    usable: bool = Field(description="Whether it may be used at all: it is a schema, and something satisfies it.")
    enforced: list[Keyword] = Field(description="Enforced while generating.")
    rewritten: list[Keyword] = Field(description="Enforced too: other keywords that mean the same take their place.")
    refused: list[Refused] = Field(description="Cannot be enforced while generating: `strict: true` refuses them.")
    checked_afterwards: list[Keyword] = Field(
        description="Of those, what a finished answer is checked for with `strict: false`; empty with `strict: true`."
    )


@router.post(
    "/v1/schema/check",
    tags=["chat"],
    summary="What of a JSON schema is enforced",
    dependencies=[Depends(authorized)],
    responses=errors(401, 413, 422),
)
async def check_schema(body: SchemaCheckBody) -> SchemaCheck:
    """All keywords, each with its JSON pointer. No model is needed, and none is loaded."""
    return _told(await asyncio.to_thread(schema_report, body.definition), strict=bool(body.strict))


def _told(report: SchemaReport, *, strict: bool) -> SchemaCheck:
    return SchemaCheck(
        strict=report.strict,
        usable=report.usable,
        enforced=_keywords(report.enforced),
        rewritten=_keywords(report.rewritten),
        refused=[Refused(pointer=each.pointer, keyword=each.keyword, reason=each.reason) for each in report.refused],
        checked_afterwards=[] if strict else _keywords(report.checked),
    )


def _keywords(faults: tuple[Fault, ...]) -> list[Keyword]:
    return [Keyword(pointer=each.pointer, keyword=each.keyword) for each in faults]
