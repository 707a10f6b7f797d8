"""What every route shares: the models that are served, the keys, the ledger, and how the server was started."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fastapi import Request

from ggufrun.api.chats.runs import Runs
from ggufrun.api.images.images import Images
from ggufrun.api.library.desk import Desk
from ggufrun.api.manage.control import Control
from ggufrun.api.manage.metrics import Metrics
from ggufrun.api.manage.shadow_desk import ShadowDesk
from ggufrun.errors import UnknownModel
from ggufrun.pool.served import Models, ServedModel
from ggufrun.records.chats import ChatStore
from ggufrun.records.keys import Key, KeyStore
from ggufrun.records.ledger import Ledger


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How the HTTP side behaves."""

    any_model: bool = False  # with one model served, every name means it
    strict: bool = False  # refuse what the hosted API refuses, unknown fields first of all
    log_prompts: bool = False
    cors: tuple[str, ...] = ()  # origins that a browser may call from
    allowed_hosts: tuple[str, ...] = ()  # names of this server beside the loopback's; () and not loopback: any
    root_path: str = ""  # where a reverse proxy mounts us
    loopback: bool = True  # only this machine can reach us; where others can, a key is always needed
    auth: bool = False  # a key is needed even so
    max_body: int = 64_000_000  # bytes of a request


@dataclass(frozen=True, slots=True)
class Gateway:
    models: Models
    settings: ServerSettings
    metrics: Metrics
    keys: KeyStore | None = None  # None: nobody is asked for one
    ledger: Ledger | None = None  # None: calls are not recorded
    version: str = "0"
    control: Control | None = None  # None: the server is not ours to end
    chats: ChatStore | None = None  # None: none are kept
    runs: Runs = field(default_factory=Runs)
    library: Desk | None = None  # None: what is not served is not known
    images: Images = field(default_factory=Images)
    shadows: ShadowDesk | None = None  # None: none are kept

    def visible(self, key: Key | None) -> Sequence[ServedModel]:
        """What is served to the holder of a key, None where nobody needs one."""
        return [model for model in self.models.served() if key is None or key.may_use(model.names)]

    def find(self, name: str, key: Key | None = None) -> ServedModel:
        """The model that a request means, whether or not the key is good for it; "" means the only one.

        Raises UnknownModel, with the names that the key's holder may know.
        """
        served = self.models.served()
        wanted = name.lower()
        for model in served:
            if wanted in (known.lower() for known in model.names):
                return model
        if len(served) == 1 and (not name or self.settings.any_model):
            return served[0]
        raise UnknownModel(name, [model.info.name for model in self.visible(key)])


def gateway_of(request: Request) -> Gateway:
    """The gateway of the application that a request came to."""
    gateway = request.app.state.gateway
    if not isinstance(gateway, Gateway):
        raise TypeError("app.state.gateway is not set")
    return gateway
