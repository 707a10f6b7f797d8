"""What is wrong with a request before its route has seen it, in the words of the body: pydantic's report shortened.

Pydantic names the kinds of a union as if they were fields ("stop.str"), and reports each kind by itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ggufrun.api.errors import ErrorResponse, envelope
from ggufrun.errors import cut

MOST_DETAILS: Final = 20
_MOST_READ: Final = 1000  # a list of a million wrong values has as many errors
_INVALID: Final = "invalid_request_error"
_OTHER_WORDS: Final = {
    "tuple_type": "Input should be a list",
    "dict_type": "Input should be an object",
    "model_type": "Input should be an object",
    "model_attributes_type": "Input should be an object",
}
_SHOULD: Final = "Input should be "

Part = str | int
Location = tuple[Part, ...]


class _Kind(str):
    """A part of pydantic's location that names no part of the body, but a kind that it could be."""


@dataclass(frozen=True, slots=True)
class _Found:
    at: Location  # the parts of the body; kinds among them
    message: str
    type: str

    def before_kind(self) -> Location:
        kind = next((index for index, part in enumerate(self.at) if isinstance(part, _Kind)), len(self.at))
        return self.at[:kind]


def invalid_response(errors: Sequence[Mapping[str, Any]], body: Any = None) -> ErrorResponse:
    """422 for what is not of the documented shape; `errors` as pydantic lists them, `body` what they are about."""
    found = [_found(error, body) for error in errors[:_MOST_READ]]
    detail = [_detail(each) for each in _one_each(found)[:MOST_DETAILS]]
    where, message = "", "The request is not valid."
    if detail:
        where, message = ".".join(map(str, detail[0]["loc"][1:])), detail[0]["msg"]
    reply = envelope(f"{where}: {message}" if where else message, _INVALID, where or None)
    return ErrorResponse({**reply, "detail": detail}, 422)


def not_json_response(error: BaseException) -> ErrorResponse:
    """422 for a body that cannot be read at all, whatever the reason is."""
    if isinstance(error, RecursionError):
        reason = "it is nested too deeply"
    elif isinstance(error, UnicodeDecodeError):
        reason = f"byte {error.start + 1} is not UTF-8"
    else:
        reason = "a number in it is too long"
    return _not_json(f"The body is not JSON that can be read: {reason}.")


def _not_json(message: str) -> ErrorResponse:
    detail = [{"loc": ["body"], "msg": message, "type": "json_invalid"}]
    return ErrorResponse({**envelope(message, _INVALID), "detail": detail}, 422)


def bad_json_response(error: Mapping[str, Any], text: Any) -> ErrorResponse:
    """422 for a body with a mistake in its JSON; `error` is FastAPI's only one, `text` the body."""
    at, before = error["loc"][1], str(text)[: error["loc"][1]]
    line, character = before.count("\n") + 1, at - before.rfind("\n")
    return _not_json(f"The body is not JSON (line {line}, character {character}: {error['ctx']['error']}).")


def _detail(found: _Found) -> dict[str, Any]:
    at = [cut(part) if isinstance(part, str) else part for part in found.at]
    return {"loc": at, "msg": cut(found.message, 1000), "type": found.type}


def _found(error: Mapping[str, Any], body: Any) -> _Found:
    kind, loc = str(error["type"]), tuple(error["loc"])
    message = _OTHER_WORDS.get(kind, str(error["msg"]).removeprefix("Value error, "))
    if loc == ("body",) and kind != "value_error":  # those say themselves what they mean
        message = "The body is empty: send a JSON object" if kind == "missing" else "The body should be a JSON object"
    if body is None or loc[:1] != ("body",):
        return _Found(loc, message, kind)
    return _Found(("body", *_parts(loc[1:], body, missing=kind == "missing")), message, kind)


def _parts(loc: Location, value: Any, *, missing: bool) -> Iterable[Part]:
    for index, part in enumerate(loc):
        if isinstance(value, dict) and part in value:
            value = value[part]
            yield part
        elif isinstance(value, list) and isinstance(part, int):
            value = value[part] if part < len(value) else None
            yield part
        else:
            yield part if missing and index == len(loc) - 1 else _Kind(part)


def _one_each(errors: Sequence[_Found]) -> list[_Found]:
    """One error for each place: that of the kind which the value there has, or else all kinds in one sentence."""
    places: dict[Location, list[_Found]] = {}
    for error in errors:
        places.setdefault(error.before_kind(), []).append(error)
    merged: list[_Found] = []
    for place, there in places.items():
        kinds: dict[Part, list[_Found]] = {}
        for error in there:
            kinds.setdefault(error.at[len(place)] if len(error.at) > len(place) else "", []).append(error)
        inner = [each for kind, each in kinds.items() if kind and all(len(e.at) > len(place) + 1 for e in each)]
        if inner:
            within = [_Found((*place, *e.at[len(place) + 1 :]), e.message, e.type) for each in inner for e in each]
            merged += _one_each(within)
        else:
            outer = [error for error in there if len(error.at) <= len(place) + 1]
            merged.append(_Found(place, _sentence([error.message for error in outer]), outer[0].type))
    return merged


def _sentence(messages: Sequence[str]) -> str:
    """ "Input should be a valid string, or a list"."""
    different = list(dict.fromkeys(messages))
    wanted = [each.removeprefix(_SHOULD) for each in different if each.startswith(_SHOULD)]
    if len(different) == 1 or len(wanted) < 2:
        return different[0]
    return f"{_SHOULD}{', or '.join(wanted)}"
