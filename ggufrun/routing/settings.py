"""`[routes.NAME]` of ggufrun.toml: which engines a name stands for, and when the next one is asked.

Whether the engines exist is known where they are served: see `checking`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ggufrun.errors import OptionError
from ggufrun.validation import first_problem, named_tables, nearest

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,99}")  # as models are called


@dataclass(frozen=True, slots=True)
class Escalation:
    """What makes an answer too doubtful to be given: then the next engine is asked. The last one's is always given."""

    min_logprob: float | None = None  # least mean log-probability of the tokens that were chosen, not forced
    json: bool = False  # JSON that is incomplete, or breaks its schema
    tools: bool = False  # a call of a tool that there is not, or with arguments that its schema refuses
    header: bool = False  # the client asks for it: `x-ggufrun-escalate: 1`

    def __post_init__(self) -> None:
        if not self.judges and not self.header:
            hint = "Write min_logprob = -1.0, json = true, tools = true or header = true."
            raise OptionError("The table 'escalate' names no reason to escalate.", hint)

    @property
    def judges(self) -> bool:
        """Whether answers are looked at before they are given."""
        return self.min_logprob is not None or self.json or self.tools


@dataclass(frozen=True, slots=True)
class ShadowSettings:
    """A share of the requests, from 0 to 1, that `engine` answers too, for nobody but whoever compares."""

    engine: str
    share: float


@dataclass(frozen=True, slots=True)
class RouteSettings:
    """One route. `engines` are names of models, remotes or other routes of the same server, the first choice first."""

    name: str
    engines: tuple[str, ...]
    fallback: bool = True  # the next engine answers where one is overloaded, down, not to be loaded, or too small
    escalate: Escalation | None = None
    weights: Mapping[str, float] = field(default_factory=dict)  # shares by engine; {}: the first one begins always
    shadow: ShadowSettings | None = None

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise OptionError(f"A route cannot be called {self.name!r}.", "Use letters, digits and . _ : @ + -.")
        if not self.engines:
            raise OptionError("The route has no engines.", 'Write engines = ["NAME", …], the first choice first.')
        lowered = [engine.lower() for engine in self.engines]
        for number, engine in enumerate(lowered):
            if engine in lowered[:number]:
                raise OptionError(f"The route names the engine {self.engines[number]!r} twice.", "Name each once.")
            if engine == self.name.lower():
                raise OptionError("The route goes to itself.", "Name the engine otherwise than the route.")
        if self.escalate is not None and len(self.engines) < 2:
            raise OptionError("A route with one engine has nowhere to escalate to.", "Add another to 'engines'.")
        self._check_weights()
        if self.shadow is not None and self.shadow.engine.lower() == self.name.lower():
            raise OptionError("The route's shadow is the route itself.", "Name one engine.")

    def _check_weights(self) -> None:
        for engine in self.weights:
            if engine not in self.engines:
                meant = nearest(engine, self.engines, 1)
                hint = f"Did you mean {meant[0]!r}?" if meant else f"There are: {', '.join(self.engines)}."
                raise OptionError(f"'weights' has {engine!r}, which is not among the route's engines.", hint)
        if self.weights and not sum(self.weights.values()):
            raise OptionError("All weights are 0.", "Give one engine at least a share above 0.")


_Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Name = Annotated[str, Field(min_length=1)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Escalate(_Wire):
    min_logprob: Annotated[float, Field(le=0, allow_inf_nan=False)] | None = None
    json_: bool = Field(False, alias="json")  # BaseModel has a method of this name
    tools: bool = False
    header: bool = False

    def settings(self) -> Escalation:
        return Escalation(self.min_logprob, self.json_, self.tools, self.header)


class _Shadow(_Wire):
    engine: _Name
    share: Annotated[float, Field(gt=0, le=1)]


class _Table(_Wire):
    """The keys of one table, and of those in it."""

    engines: Annotated[tuple[_Name, ...], Field(strict=False)] = ()  # TOML has arrays only
    fallback: bool = True
    escalate: _Escalate | None = None
    weights: dict[str, _Share] | None = None
    shadow: _Shadow | None = None


_INNER: Final = {"escalate": ("min_logprob", "json", "tools", "header"), "shadow": tuple(_Shadow.model_fields)}


def routes(path: Path, tables: object) -> dict[str, RouteSettings]:
    """What `routes` is in the document, by name. OptionError names the file and the key that is wrong."""
    if not isinstance(tables, dict):
        raise OptionError(f"{path}: 'routes' is not a table.", 'Write [routes."NAME"] above a route\'s settings.')
    return {name: _route(path, name, table) for name, table in named_tables(tables, _Table.model_fields)}


def _route(path: Path, name: str, values: object) -> RouteSettings:
    where = f'{path} [routes."{name}"]'
    if not isinstance(values, dict):
        raise OptionError(f"{path}: 'routes.{name}' is not a table.", f'Write [routes."{name}"] above its settings.')
    try:
        table = _Table.model_validate(values)
    except ValidationError as error:
        inner = str(error.errors(include_url=False)[0]["loc"][0])
        problem = first_problem(error, _INNER.get(inner, tuple(_Table.model_fields)))
        raise OptionError(f"{where}: {problem}", "Correct it there.") from error
    escalate, shadow = table.escalate, table.shadow
    try:
        return RouteSettings(
            name,
            table.engines,
            table.fallback,
            None if escalate is None else escalate.settings(),
            table.weights or {},
            None if shadow is None else ShadowSettings(shadow.engine, shadow.share),
        )
    except OptionError as error:
        raise OptionError(f"{where}: {error.message}", error.hint) from None
