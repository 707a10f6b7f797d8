"""Names that users type, over all stores: which model is meant, when to ask, and what is said where none is here."""

import pytest

from ggufrun.errors import InputError, ModelNotFound, OptionError
from ggufrun.store.find import find, named_or_at
from ggufrun.store.resolve import locate, resolve
from tests.store.stores import OLDER, Stores, model_bytes, shard_bytes
from tests.store.test_places import SMALL, STEM


def name(stores: Stores, spec: str) -> str | None:
    model = find(spec, stores.places)
    return model.name if model else None


@pytest.fixture
def full(stores: Stores) -> Stores:
    stores.hub(SMALL, f"{STEM}-Q4_K_M.gguf")
    stores.hub(SMALL, f"{STEM}-UD-Q8_K_XL.gguf")
    stores.hub("someone/Plain-GGUF", "plain-Q4_0.gguf")
    stores.lm_studio("publisher/Studio-GGUF/studio-Q6_K.gguf")
    stores.ollama("registry.ollama.ai/library/mistral/7b")
    stores.ollama("registry.ollama.ai/library/mistral/latest")
    stores.own("Dropped-Q5_K_M.gguf")
    return stores


@pytest.mark.parametrize(
    ("spec", "meant"),
    [
        ("mistral-small-3.2:Q4_K_M", f"{SMALL}:Q4_K_M"),
        ("MISTRAL-small-2506:ud-q8_k_xl", f"{SMALL}:UD-Q8_K_XL"),
        (f"{SMALL}:q4_k_m", f"{SMALL}:Q4_K_M"),
        (f"https://huggingface.co/{SMALL}:Q4_K_M", f"{SMALL}:Q4_K_M"),
        (f"{STEM}-Q4_K_M", f"{SMALL}:Q4_K_M"),
        (f"{STEM}-Q4_K_M.gguf", f"{SMALL}:Q4_K_M"),
        (f"{SMALL}:{STEM}-Q4_K_M", f"{SMALL}:Q4_K_M"),
        ("someone/plain-gguf", "someone/Plain-GGUF:Q4_0"),
        ("publisher/Studio-GGUF:Q6_K", "publisher/Studio-GGUF:Q6_K"),
        ("studio-Q6_K", "publisher/Studio-GGUF:Q6_K"),
        ("mistral:7b", "mistral:7b"),
        ("mistral", "mistral:latest"),
        ("dropped-q5_k_m", "Dropped-Q5_K_M"),
        ("mistral-small-3.2:Q2_K", None),
        ("mistral:8b", None),
        ("nobody", None),
    ],
)
def test_what_a_name_means(full: Stores, spec: str, meant: str | None) -> None:
    assert name(full, spec) == meant


@pytest.mark.parametrize("spec", ["mistral-small-3.2", SMALL])
def test_several_quants_are_asked_about(full: Stores, spec: str) -> None:
    with pytest.raises(OptionError, match=f"any of these: {SMALL}:Q4_K_M, {SMALL}:UD-Q8_K_XL"):
        find(spec, full.places)


def test_the_same_file_name_in_two_repositories_is_asked_about(stores: Stores) -> None:
    stores.hub("one/A-GGUF", "model-Q4_0.gguf", model_bytes("1"))
    stores.hub("two/B-GGUF", "other/model-Q4_0.gguf", model_bytes("2"))
    assert name(stores, "two/B-GGUF") == "two/B-GGUF:Q4_0"
    stores.hub("two/B-GGUF", "other/more-Q8_0.gguf")
    with pytest.raises(OptionError, match="two/B-GGUF:Q4_0, two/B-GGUF:Q8_0"):
        find("two/B-GGUF", stores.places)


def test_where_two_stores_have_it_the_first_is_taken(full: Stores) -> None:
    full.lm_studio(f"lmstudio-community/{STEM}-GGUF/{STEM}-Q4_K_M.gguf")
    assert name(full, "mistral-small-3.2:Q4_K_M") == f"{SMALL}:Q4_K_M"
    full.own(f"{STEM}-Q4_K_M.gguf")
    assert name(full, "mistral-small-3.2:Q4_K_M") == f"{STEM}-Q4_K_M"
    assert name(full, f"{SMALL}:Q4_K_M") == f"{SMALL}:Q4_K_M"


def test_an_older_version_has_a_name_of_its_own(stores: Stores) -> None:
    stores.hub("a/B-GGUF", "b-Q4_0.gguf", model_bytes("old"), OLDER)
    stores.hub("a/B-GGUF", "b-Q4_0.gguf", model_bytes("new"))
    assert name(stores, "a/B-GGUF") == name(stores, "a/B-GGUF:Q4_0") == name(stores, "b-Q4_0") == "a/B-GGUF:Q4_0"
    assert name(stores, "a/B-GGUF:Q4_0-aaaaaaaa") == "a/B-GGUF:Q4_0-aaaaaaaa"


def test_a_name_that_is_said_in_full_means_what_is_not_whole_too(stores: Stores) -> None:
    stores.lm_studio("a/B-GGUF/b-Q4_0.gguf")
    stores.hub_partial("a/B-GGUF", "b-Q4_0.gguf", 5 << 20, b"y" * 4096)
    part = find("a/B-GGUF:Q4_0", stores.places, partial=True)
    assert part is not None and part.source == "hub" and part.partial is not None
    for spec in ("a/B-GGUF:Q4_0", "a/B-GGUF"):
        whole = find(spec, stores.places)
        assert whole is not None and whole.source == "lmstudio"


def test_of_two_names_that_differ_in_case_the_one_that_is_typed_is_meant(stores: Stores) -> None:
    for repo in ("Owner/X-GGUF", "owner/x-GGUF"):
        stores.hub(repo, "x-Q4_0.gguf", model_bytes(repo))
    assert name(stores, "owner/x-GGUF:Q4_0") == "owner/x-GGUF:Q4_0"
    assert name(stores, "Owner/X-GGUF:Q4_0") == "Owner/X-GGUF:Q4_0"


def test_a_path_to_one_of_a_models_files_means_the_model(stores: Stores) -> None:
    stores.hub("a/B-GGUF", "b-Q4_0-00001-of-00002.gguf", shard_bytes(1, 2))
    second = stores.hub("a/B-GGUF", "b-Q4_0-00002-of-00002.gguf", shard_bytes(2, 2))
    assert (
        named_or_at(str(second), stores.places).name
        == named_or_at(str(second.resolve()), stores.places).name
        == "a/B-GGUF:Q4_0"
    )
    stores.home.joinpath("else.gguf").write_bytes(model_bytes())
    with pytest.raises(ModelNotFound, match="lies in none of the stores"):
        named_or_at(str(stores.home / "else.gguf"), stores.places)
    for path in ("/a/B-GGUF/b-Q4_0.gguf", "./b-Q4_0.gguf"):
        with pytest.raises(ModelNotFound, match="There is no such file; `ggufrun list` shows what is here"):
            named_or_at(path, stores.places)
    with pytest.raises(ModelNotFound, match=r"'zzzz'\. `ggufrun list` shows what is here"):
        named_or_at("zzzz", stores.places)


def here(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables that make these the stores of this user."""
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(stores.home))
    return {"HF_HUB_CACHE": str(stores.home / "hub")}


def test_a_stored_model_is_opened_where_it_lies(full: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = here(full, monkeypatch)
    full.hub("someone/Split-GGUF", "split-Q4_0-00001-of-00002.gguf", shard_bytes(1, 2))
    second = full.hub("someone/Split-GGUF", "split-Q4_0-00002-of-00002.gguf", shard_bytes(2, 2))
    split = resolve("someone/Split-GGUF:Q4_0", full.home / "data", environ)
    assert split.shards[1] == second and split.name == "split-Q4_0" and split.stored is not None
    small = resolve("mistral-small-3.2:Q4_K_M", full.home / "data", environ)
    assert small.card is not None and small.name == "mistral-small-3.2"
    assert resolve("mistral:7b", full.home / "data", environ).name == "mistral:7b"
    assert locate("mistral", full.home / "data", environ).name.startswith("sha256-")
    assert locate("studio-Q6_K", full.home / "data", environ).name == "studio-Q6_K.gguf"


def test_a_file_that_is_given_wins_over_a_name_and_a_card_over_a_file(
    full: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = here(full, monkeypatch)
    monkeypatch.chdir(full.home)
    for name in ("mistral", "mistral-small-3.2:Q4_K_M"):
        full.home.joinpath(name).write_bytes(model_bytes())
    assert locate("mistral", full.home / "data", environ).name == "mistral"
    assert locate("mistral-small-3.2:Q4_K_M", full.home / "data", environ).name == f"{STEM}-Q4_K_M.gguf"


def test_what_is_not_here_says_how_to_fetch_it(full: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = here(full, monkeypatch)
    full.hub_partial("someone/Begun-GGUF", "begun-Q4_0.gguf", 5 << 20, b"y" * 4096)
    for spec, told in {
        "mistral-small-3.2:Q2_K": "no file of it is on this machine in that quant. Fetch it: ggufrun pull mistral-",
        "devstral-small-latest": "no file of it is on this machine. Fetch it: ggufrun pull devstral-small-latest",
        "https://huggingface.co/a/b": "a/b is not on this machine. Fetch it: ggufrun pull a/b",
        "someone/Begun-GGUF:Q4_0": "is here in part only (0.0 of 5.2 MB). Fetch the rest: ggufrun pull someone/Begun-",
        "someone/Begun-GGUF": "is here in part only",
        "mistral:8b": "Did you mean mistral:7b",
        "studio-Q6_L": "studio-Q6_K",
    }.items():
        with pytest.raises(InputError) as caught:
            resolve(spec, full.home / "data", environ)
        assert told in str(caught.value)


def test_a_split_set_that_is_not_whole_names_what_is_missing(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = here(stores, monkeypatch)
    stores.own("cut-00002-of-00003.gguf", shard_bytes(2, 3))
    with pytest.raises(InputError, match=r"2 of the 3 files of this split set are missing: cut-00001-of-00003\.gguf"):
        resolve("cut", stores.home / "data", environ)
