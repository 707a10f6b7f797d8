"""Routes that cannot be: to nowhere, in a circle, or under a name that is another's. Found before serving."""

from collections.abc import Mapping, Sequence

from ggufrun.chat.types import ModelInfo
from ggufrun.errors import OptionError
from ggufrun.routing.settings import RouteSettings
from ggufrun.validation import nearest


def in_order(routes: Mapping[str, RouteSettings], models: Sequence[ModelInfo]) -> list[RouteSettings]:
    """The routes, each behind those that it goes to itself. `models`: what is served beside them.

    Raises OptionError of one line.
    """
    owners = {name.lower(): info.name for info in models for name in (info.name, *info.aliases)}
    for name in routes:
        if name.lower() in owners:
            hint = f"Rename the route, or give that one a name of its own: ggufrun serve NAME={owners[name.lower()]}."
            raise OptionError(f'[routes."{name}"]: {owners[name.lower()]} answers to that name already.', hint)
    by_name = {name.lower(): route for name, route in routes.items()}
    for route in routes.values():
        for engine in _mentioned(route):
            if engine.lower() not in owners and engine.lower() not in by_name:
                raise _nowhere(route, engine, [*owners.values(), *routes])
    done: dict[str, RouteSettings] = {}
    for route in routes.values():
        _visit(route, by_name, (), done)
    return list(done.values())


def canonical(routes: Sequence[RouteSettings], models: Sequence[ModelInfo]) -> dict[str, str]:
    """By each engine's name as a route has it: the one that it is served under."""
    served = {name.lower(): info.name for info in models for name in (info.name, *info.aliases)}
    served |= {route.name.lower(): route.name for route in routes}
    return {engine: served[engine.lower()] for route in routes for engine in _mentioned(route)}


def _mentioned(route: RouteSettings) -> tuple[str, ...]:
    return (*route.engines, *((route.shadow.engine,) if route.shadow is not None else ()))


def _nowhere(route: RouteSettings, engine: str, known: Sequence[str]) -> OptionError:
    meant = nearest(engine, known, 1)
    hint = f"Did you mean {meant[0]!r}?" if meant else f"Serve it: ggufrun serve {engine}=MODEL, or --remote."
    return OptionError(f'[routes."{route.name}"]: no model, remote or route is called {engine!r}.', hint)


def _visit(
    route: RouteSettings, routes: Mapping[str, RouteSettings], way: tuple[str, ...], done: dict[str, RouteSettings]
) -> None:
    if route.name in way:
        circle = " -> ".join((*way[way.index(route.name) :], route.name))
        raise OptionError(f"The routes go in a circle: {circle}.", "Take one of them out of the other's engines.")
    if route.name in done:
        return
    for engine in _mentioned(route):
        if (inner := routes.get(engine.lower())) is not None:
            _visit(inner, routes, (*way, route.name), done)
    done[route.name] = route
