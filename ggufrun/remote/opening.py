"""Opens a remote as a chat model. Nothing is loaded for it, here or there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ggufrun.chat.types import ChatModel
from ggufrun.remote.breaker import Breaker
from ggufrun.remote.client import Client
from ggufrun.remote.keys import key_of
from ggufrun.remote.model import RemoteChatModel
from ggufrun.remote.probing import Probed, probed
from ggufrun.remote.settings import RemoteSettings
from ggufrun.remote.tokens import Tokenizer


@asynccontextmanager
async def open_remote(remote: RemoteSettings | Probed, breaker: Breaker | None = None) -> AsyncIterator[ChatModel]:
    """The model, until this is left. A remote that is only settings so far is probed. Raises RemoteUnusable."""
    known = remote if isinstance(remote, Probed) else await probed(remote)
    async with Client(known.settings, key_of(known.settings), breaker) as client:
        yield RemoteChatModel(known.info, known.engine, known.settings, client, _tokenizer(known))


def _tokenizer(known: Probed) -> Tokenizer | None:
    card = known.card
    if known.engine.kind != "mistral" or card is None or card.tokenizer is None:
        return None
    from ggufrun.remote.hosted_tokens import HostedTokens  # mistral-common takes a while to import

    return HostedTokens(card.tokenizer, card.efforts)
