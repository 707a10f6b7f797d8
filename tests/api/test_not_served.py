"""What is said where no route is."""

import pytest

from ggufrun.api.app import create_app
from ggufrun.api.gateway import Gateway, ServerSettings
from ggufrun.api.manage.metrics import Metrics
from ggufrun.pool.served import OneModel
from tests.api.scripted import PlayedModel, client_of


@pytest.mark.parametrize("root", ["", "/models"])
@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("POST", "/chat/completions", 404, "did you mean {root}/v1/chat/completions? (OpenAI's base URL ends in /v1)"),
        ("GET", "/models/played", 404, "did you mean {root}/v1/models/played?"),
        ("GET", "/", 404, "the API is under {root}/v1, and {root}/docs describes it."),
        ("POST", "/v1/images", 404, "POST {root}/v1/images is not served here. {root}/docs lists what is."),
        ("GET", "/v1/chat/completions", 405, "it takes POST."),
        ("DELETE", "/health", 405, "it takes"),
    ],
)
async def test_what_may_have_been_meant(root: str, method: str, path: str, status: int, said: str) -> None:
    gateway = Gateway(OneModel(PlayedModel(())), ServerSettings(root_path=root), Metrics())
    async with client_of(create_app(gateway)) as client:
        response = await client.request(method, f"{root}{path}")
    assert response.status_code == status and said.format(root=root) in response.json()["message"], response.text
    assert ("allow" in response.headers) == (status == 405)


async def test_health_takes_head() -> None:
    gateway = Gateway(OneModel(PlayedModel(())), ServerSettings(), Metrics())
    async with client_of(create_app(gateway)) as client:
        assert (await client.head("/health")).status_code == 200
