"""A request's fields beside those that are served: unknown ones, and those that the hosted API does not have."""

import logging
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, Final

from fastapi.exceptions import RequestValidationError

from ggufrun.api.calls.call import Call
from ggufrun.api.conversation.incoming import Body, Fault, extras
from ggufrun.api.invalid import MOST_DETAILS
from ggufrun.errors import OutOfRange

HOTTEST: Final = 1.5  # what the hosted API takes
_log = logging.getLogger(__name__)


class Named:
    """Names from outside that the log has told of: each is told once, cut, and there are not endlessly many."""

    def __init__(self, most: int = 1000, at_once: int = 20, length: int = 100) -> None:
        self._most, self._at_once, self._length = most, at_once, length
        self._told: set[str] = set()

    def new(self, names: Iterable[str]) -> Iterator[str]:
        """Those to tell of now. They may hold anything: log them with %a, so that nobody writes lines of their own."""
        left = min(self._at_once, self._most - len(self._told))
        if left > 0:
            short = (name[: self._length] for name in names)
            for name in islice(dict.fromkeys(name for name in short if name not in self._told), left):
                self._told.add(name)
                yield name


_named = Named()


def check_fields(body: Body, call: Call, foreign: Iterable[Fault] = ()) -> None:
    """With --strict, refuse the fields that the hosted API does not know, `foreign` among them; else warn once."""
    if not call.strict:
        names = (".".join(part for part in at if isinstance(part, str)) for at in extras(body))
        for name in _named.new(names):
            _log.warning("The field %a of %s is not known and was ignored.", name, call.request.url.path)
        return
    temperature = getattr(body, "temperature", None)
    if temperature is not None and temperature > HOTTEST:
        raise OutOfRange(f"temperature is {temperature}.", f"The hosted API allows 0 to {HOTTEST}.", "temperature")
    faults = list(islice(chain(map(Fault, extras(body)), foreign), MOST_DETAILS))
    if faults:
        raise RequestValidationError([_error(fault) for fault in faults])


def _error(fault: Fault) -> dict[str, Any]:
    return {"type": fault.type, "loc": ("body", *fault.at), "msg": fault.message}
