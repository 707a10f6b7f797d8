"""The routes of ggufrun.toml as models of the pool, over the others that the same server serves."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from functools import partial

from ggufrun.chat.types import ChatModel, ModelInfo
from ggufrun.errors import EngineClosed
from ggufrun.pool.offer import Offer, Progress
from ggufrun.pool.pool import ModelPool
from ggufrun.routing.checking import canonical, in_order
from ggufrun.routing.failures import Lease
from ggufrun.routing.info import info_of
from ggufrun.routing.routed import RoutedChatModel
from ggufrun.routing.settings import RouteSettings
from ggufrun.routing.watcher import Watcher


class Routes:
    """Of one server. Implements `Engines` for its shadows.

    `pool` is set once there is one: it serves the engines, and the routes too.
    """

    def __init__(
        self,
        settings: Mapping[str, RouteSettings],
        beside: Sequence[Offer],
        watched: Callable[[RouteSettings], Watcher | None] = lambda route: None,
    ) -> None:
        """`beside`: what else is served. `watched` says who looks at a route's answers; asked when it is opened.

        Raises OptionError of one line for a route to nowhere, in a circle, or under a name that is another's.
        """
        infos = [offer.info for offer in beside]
        self._routes, self._watched = in_order(settings, infos), watched
        self._served = canonical(self._routes, infos)
        self._known = {info.name: info for info in infos}
        self._borrowing: dict[str, RoutedChatModel] = {}  # by route: what it is for shadows
        self.pool: ModelPool | None = None

    def offers(self) -> list[Offer]:
        """Each behind those that it goes to itself."""
        offers = []
        for route in self._routes:
            info = self._known[route.name] = self._info(route)
            offers.append(Offer(info, partial(self._open, route), weightless=True))
        return offers

    def lease(self, engine: str) -> AbstractAsyncContextManager[ChatModel]:
        """The engine that a route calls so."""
        return self._serving().lease(self._served[engine])

    @asynccontextmanager
    async def borrow(self, engine: str) -> AsyncIterator[ChatModel]:
        """For `Engines`. What a shadow asks of a route is asked of its engines in the same way."""
        name = self._served[engine]
        route = self._route(name)
        if route is None:
            async with self._serving().borrow(name) as model:
                yield model
            return
        if name not in self._borrowing:
            self._borrowing[name] = self._model(route, self.borrow, None)
        yield self._borrowing[name]

    def wish(self, engine: str, since: float) -> AbstractContextManager[None]:
        return self._serving().wish(frozenset(self._behind(engine)), since)

    def served(self, engine: str) -> str:
        """What the engine is served as, whatever a route calls it."""
        return self._served.get(engine, engine)

    def spare(self, engine: str) -> bool:
        """Whether it may be asked now without anybody's loss. Of a route any engine may be the one."""
        return all(self._serving().spare(name) for name in self._behind(engine))

    def in_the_way(self, engine: str) -> bool:
        """Whether it has a place, and somebody waits for one."""
        return any(self._serving().in_the_way(name) for name in self._behind(engine))

    def _behind(self, engine: str) -> Iterator[str]:
        """What it is served as; of a route, what all its engines are."""
        name = self._served[engine]
        inner = self._route(name)
        if inner is None:
            yield name
            return
        for each in inner.engines:
            yield from self._behind(each)

    def _route(self, name: str) -> RouteSettings | None:
        return next((route for route in self._routes if route.name == name), None)

    @asynccontextmanager
    async def _open(self, route: RouteSettings, on_progress: Progress) -> AsyncIterator[ChatModel]:
        yield self._model(route, self.lease, self._watched(route))

    def _model(self, route: RouteSettings, lease: Lease, watcher: Watcher | None) -> RoutedChatModel:
        self._known |= {served.info.name: served.info for served in self._serving().served()}  # more is known by now
        return RoutedChatModel(self._info(route), route, lease, watcher)

    def _info(self, route: RouteSettings) -> ModelInfo:
        return info_of(route, {engine: self._known[self._served[engine]] for engine in route.engines})

    def _serving(self) -> ModelPool:
        if self.pool is None:
            raise EngineClosed
        return self.pool
