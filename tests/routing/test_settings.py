"""`[routes.NAME]` of ggufrun.toml: what it may say, and the one line that is said of what it may not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ggufrun.chat.types import ModelInfo
from ggufrun.errors import OptionError
from ggufrun.routing.checking import canonical, in_order
from ggufrun.routing.settings import Escalation, RouteSettings, ShadowSettings
from ggufrun.userconfig import UserSettings, load_user_settings

Load = Callable[[str], UserSettings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def read(text: str) -> UserSettings:
        path = tmp_path / "ggufrun.toml"
        path.write_text(text)
        return load_user_settings(path)

    return read


def test_a_whole_route(load: Load) -> None:
    text = """
        [routes."mistral-medium-3.5"]
        engines = ["small", "fast", "hosted"]
        fallback = false
        [routes."mistral-medium-3.5".escalate]
        min_logprob = -1.5
        json = true
        tools = true
        header = true
        [routes."mistral-medium-3.5".weights]
        small = 9
        fast = 0.5
        [routes."mistral-medium-3.5".shadow]
        engine = "hosted"
        share = 0.1
    """
    (route,) = load(text).routes.values()
    assert route == RouteSettings(
        "mistral-medium-3.5",
        ("small", "fast", "hosted"),
        False,
        Escalation(-1.5, True, True, True),
        {"small": 9, "fast": 0.5},
        ShadowSettings("hosted", 0.1),
    )


def test_a_name_with_a_dot_needs_no_quotes(load: Load) -> None:
    text = '[routes.mistral-3.5]\nengines = ["a", "b"]\n[routes.mistral-3.5.escalate]\njson = true\n'
    (route,) = load(text).routes.values()
    assert route.name == "mistral-3.5" and route.escalate == Escalation(json=True) and route.fallback


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[routes.r]", "The route has no engines."),
        ('[routes.r]\nengine = ["a"]', "unknown key 'engine', did you mean 'engines'?"),
        ('[routes.r]\nengines = "a"', "'engines' should be a list, and it is 'a'"),
        ("[routes.r]\nengines = []", "The route has no engines."),
        ('[routes.r]\nengines = ["a", "A"]', "The route names the engine 'A' twice."),
        ('[routes.r]\nengines = ["a", "r"]', "The route goes to itself."),
        ('[routes.r]\nengines = ["a"]\nfallback = "yes"', "'fallback' should be a valid boolean"),
        ('[routes.r]\nengines = ["a", "b"]\n[routes.r.escalate]', "names no reason to escalate"),
        ('[routes.r]\nengines = ["a", "b"]\nescalate = {min_logprobs = -1}', "did you mean 'min_logprob'?"),
        ('[routes.r]\nengines = ["a", "b"]\nescalate = {min_logprob = 1}', "'escalate.min_logprob' should be less"),
        ('[routes.r]\nengines = ["a"]\nescalate = {json = true}', "nowhere to escalate to"),
        ('[routes.r]\nengines = ["a", "b"]\nweights = {c = 1}', "'weights' has 'c', which is not among"),
        ('[routes.r]\nengines = ["a", "b"]\nweights = {a = 0}', "All weights are 0."),
        ('[routes.r]\nengines = ["a", "b"]\nweights = {a = -1}', "'weights.a' should be greater than or equal to 0"),
        ('[routes.r]\nengines = ["a"]\nshadow = {engine = "b", share = 2}', "'shadow.share' should be less than"),
        ('[routes.r]\nengines = ["a"]\nshadow = {engine = "r", share = 1}', "The route's shadow is the route itself."),
        ('[routes."a b"]\nengines = ["a"]', "A route cannot be called 'a b'."),
        ("[routes]\nr = 1", "'routes.r' is not a table"),
        ("routes = 1", "'routes' is not a table"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(load: Load, text: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        load(text)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert "ggufrun.toml" in caught.value.message


def info(name: str, *aliases: str) -> ModelInfo:
    return ModelInfo(name, 100, 100, 1, 1, "", aliases=aliases)


def routes(**engines: tuple[str, ...]) -> dict[str, RouteSettings]:
    return {name: RouteSettings(name, named) for name, named in engines.items()}


def test_routes_come_behind_those_that_they_go_to() -> None:
    found = in_order(routes(a=("B", "m"), b=("m", "old"), c=("a",)), [info("M", "old"), info("n")])
    assert [route.name for route in found] == ["b", "a", "c"]
    names = canonical(found, [info("M", "old")])
    assert names == {"m": "M", "old": "M", "B": "b", "a": "a"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (routes(a=("smal",)), "[routes.\"a\"]: no model, remote or route is called 'smal'. Did you mean 'small'?"),
        (routes(a=("xyz",)), "is called 'xyz'. Serve it: ggufrun serve xyz=MODEL"),
        (routes(a=("b",), b=("c", "small"), c=("a",)), "The routes go in a circle: a -> b -> c -> a."),
        (routes(Small=("fast",)), '[routes."Small"]: small answers to that name already.'),
        (routes(old=("fast",)), '[routes."old"]: small answers to that name already.'),
        (
            {"a": RouteSettings("a", ("small",), shadow=ShadowSettings("gone", 1))},
            "no model, remote or route is called 'gone'",
        ),
        (
            {"a": RouteSettings("a", ("small",), shadow=ShadowSettings("b", 1)), "b": RouteSettings("b", ("a",))},
            "The routes go in a circle: a -> b -> a.",
        ),
    ],
)
def test_routes_that_cannot_be(given: dict[str, RouteSettings], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        in_order(given, [info("small", "old"), info("fast")])
    assert message in str(caught.value) and "\n" not in str(caught.value)
