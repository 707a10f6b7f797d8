"""Models that come to a pool and leave it while it serves."""

import asyncio
from pathlib import Path

import pytest

from ggufrun.errors import OptionError, ServedAlready, UnknownModel
from ggufrun.pool.naming import name_and_spec
from ggufrun.pool.offer import PoolSettings
from ggufrun.pool.pool import ModelPool
from tests.pool.fleet import Fleet


def names(pool: ModelPool) -> list[str]:
    return [model.info.name for model in pool.served()]


async def test_one_more_is_served_and_loaded_on_first_use() -> None:
    fleet = Fleet()
    pool = ModelPool([fleet.offer("a", aliases=("old",))], offer=fleet.make)
    assert await pool.add("b") == "b" and names(pool) == ["a", "b"] and not fleet.loads
    async with pool.lease("b") as model:
        assert model.info.name == "b" and fleet.loads == ["b"]
    await pool.close()


async def test_each_name_means_one_file() -> None:
    fleet = Fleet()
    pool = ModelPool([], offer=fleet.make)
    assert await pool.add("x/a-Q4.gguf,latest") == "a"
    assert await pool.add("x/a-Q8.gguf") == "a:Q8"  # another quant of the same model
    assert await pool.add("y/a-Q8.gguf") == "a-Q8"  # the same quant from elsewhere
    assert await pool.add("z/A-Q8.gguf") == "A:2"
    assert await pool.add("x/latest-Q4.gguf") == "latest:Q4"  # that is an alias already
    assert await pool.add("x/b-Q4.gguf", "mine:1") == "mine:1"
    for spec, name, said in (
        ("x/a-Q8.gguf", "", "a-Q8.gguf is served already, as a:Q8."),
        ("x/a-Q8.gguf", "other", "a-Q8.gguf is served already, as a:Q8."),
        ("x/c-Q4.gguf", "A", "a answers to the name 'A' already."),
        ("x/c-Q4.gguf", "LATEST", "a answers to the name 'LATEST' already."),
        ("x/c-Q4.gguf", "../x", "A model cannot be called '../x'."),
        ("x/c-Q4.gguf,mine:1", "", "mine:1 and c answer to the name 'mine:1'."),
    ):
        with pytest.raises(OptionError) as refused:
            await pool.add(spec, name)
        assert said in str(refused.value)
    assert names(pool) == ["a", "a:Q8", "a-Q8", "A:2", "latest:Q4", "mine:1"] and not fleet.loads
    await pool.remove("a")
    assert await pool.add("x/c-Q4.gguf", "latest") == "latest"  # it went with its model
    await pool.close()


async def test_a_file_is_known_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fleet = Fleet()
    pool = ModelPool([], offer=fleet.make)
    await pool.add("x/a-Q4.gguf")
    assert [model.path for model in pool.served()] == [str(tmp_path / "x" / "a-Q4.gguf")]
    with pytest.raises(ServedAlready) as refused:
        await pool.add(str(tmp_path / "x" / "a-Q4.gguf"))
    assert refused.value.name == "a"
    await pool.close()


async def test_two_that_come_at_once_are_told_apart() -> None:
    fleet = Fleet()
    pool = ModelPool([], offer=fleet.make)
    assert set(await asyncio.gather(*(pool.add(f"{folder}/a-Q4.gguf") for folder in "xyz"))) == {"a", "a:Q4", "a-Q4"}
    await pool.close()


def test_a_name_before_a_model(tmp_path: Path) -> None:
    file = tmp_path / "a=b.gguf"
    for model, name, spec in (
        ("demo", "", "demo"),
        ("small=demo:Q4_K_M", "small", "demo:Q4_K_M"),
        ("x=/a=b.gguf", "x", "/a=b.gguf"),
        ("https://example.org/a?b=c", "", "https://example.org/a?b=c"),
        (str(file), "", str(file)),
        ("=demo", "", "=demo"),
    ):
        assert name_and_spec(model) == (name, spec)


def test_a_file_with_a_sign_in_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a=b.gguf").touch()
    monkeypatch.chdir(tmp_path)
    assert name_and_spec("a=b.gguf") == ("", "a=b.gguf")


async def test_what_leaves_answers_to_the_end_and_can_come_back() -> None:
    fleet = Fleet()
    pool = ModelPool([fleet.offer("a"), fleet.offer("b")], offer=fleet.make)
    async with pool.lease("a"):
        leaving = asyncio.ensure_future(pool.remove("a"))
        await asyncio.sleep(0.01)
        assert names(pool) == ["b"] and not leaving.done() and not fleet.closed
        with pytest.raises(UnknownModel):
            async with pool.lease("a"):
                pass
    await leaving
    assert fleet.closed == ["a"]
    await pool.add("a")
    async with pool.lease("a"):
        assert fleet.loads == ["a", "a"]
    await pool.remove("b")  # never loaded
    assert names(pool) == ["a"]
    await pool.close()


async def test_who_waits_for_one_that_leaves_gets_it_once() -> None:
    fleet = Fleet(gates={"a": asyncio.Event()})
    pool = ModelPool([fleet.offer("a")], PoolSettings(max_loaded=1), offer=fleet.make)

    async def use() -> str:
        async with pool.lease("a") as model:
            return model.info.name

    using = asyncio.ensure_future(use())
    await asyncio.sleep(0.01)
    leaving = asyncio.ensure_future(pool.remove("a"))
    await asyncio.sleep(0.01)
    leaving.cancel()  # who asked for it has left; it leaves all the same
    fleet.gates["a"].set()
    assert await using == "a"
    await asyncio.sleep(0.01)
    assert fleet.closed == ["a"] and not names(pool)
    await pool.close()
