"""What a user types for a model on the hub."""

import pytest

from ggufrun.errors import ModelNotFound, OptionError
from ggufrun.hub.spec import parse_spec
from ggufrun.weights.cards import Card

CARDS = (
    Card(
        name="medium",
        aliases=("medium-latest", "maker/Medium-128B"),
        repo="packer/Medium-128B-GGUF",
        files="Medium*.gguf",
        licence="MIT",
        parameters=1,
        context=1,
    ),
    Card(
        name="demo",
        repo="maker/Demo",
        files="Demo*.gguf",
        package="demo_package",
        package_file="Demo.gguf",
        install="pip install demo",
        licence="MIT",
        parameters=1,
        context=1,
    ),
)


@pytest.mark.parametrize(
    ("text", "repo", "quant", "card"),
    [
        ("owner/Any-GGUF", "owner/Any-GGUF", None, None),
        ("owner/Any-GGUF:UD-Q4_K_XL", "owner/Any-GGUF", "UD-Q4_K_XL", None),
        (" hf.co/owner/Any-GGUF:Q8_0 ", "owner/Any-GGUF", "Q8_0", None),
        ("https://huggingface.co/owner/Any-GGUF/", "owner/Any-GGUF", None, None),
        ("https://huggingface.co/owner/Any-GGUF/tree/main", "owner/Any-GGUF", None, None),
        ("https://huggingface.co/owner/Any-GGUF/blob/main/BF16/a.gguf", "owner/Any-GGUF", "BF16-a", None),
        ("https://huggingface.co/owner/Any-GGUF/blob/main/README.md", "owner/Any-GGUF", None, None),
        ("https://huggingface.co/maker/Medium-128B/tree/other", "packer/Medium-128B-GGUF", None, "medium"),
        ("medium", "packer/Medium-128B-GGUF", None, "medium"),
        ("Medium-Latest:q4_k_m", "packer/Medium-128B-GGUF", "q4_k_m", "medium"),
        ("packer/medium-128b-gguf", "packer/Medium-128B-GGUF", None, "medium"),
        ("maker/Medium-128B:Q2_K", "packer/Medium-128B-GGUF", "Q2_K", "medium"),  # its maker has no GGUFs
    ],
)
def test_a_spec_is_a_repository_or_a_card(text: str, repo: str, quant: str | None, card: str | None) -> None:
    spec = parse_spec(text, CARDS)
    assert (spec.repo, spec.quant, spec.card.name if spec.card else None) == (repo, quant, card)


@pytest.mark.parametrize("text", ["", "mediun", "a/b/c", "a b", "./x.gguf", "medium:", "../../etc:Q4/0"])
def test_what_is_neither_is_not_found(text: str) -> None:
    with pytest.raises(ModelNotFound):
        parse_spec(text, CARDS)


def test_a_mistyped_name_gets_the_nearest() -> None:
    with pytest.raises(ModelNotFound, match="Did you mean medium"):
        parse_spec("mediun", CARDS)


@pytest.mark.parametrize(
    ("address", "quant", "revision"),
    [
        ("https://huggingface.co/owner/Any-GGUF/blob/main/any-Q4_K_M.gguf", "any-Q4_K_M", "main"),
        ("https://huggingface.co/owner/Any-GGUF/resolve/v2/any-Q4_K_M.gguf?download=true", "any-Q4_K_M", "v2"),
        ("hf.co/owner/Any-GGUF/blob/refs%2Fpr%2F3/BF16/a%20b-00002-of-00003.gguf", "BF16-a_b", "refs/pr/3"),
        ("https://huggingface.co/owner/Any-GGUF/tree/v2/UD-Q4_K_XL/", "UD-Q4_K_XL", "v2"),
        ("https://huggingface.co/owner/Any-GGUF/tree/v2", None, "v2"),
        ("https://huggingface.co/owner/Any-GGUF", None, None),
    ],
)
def test_a_pages_address_names_a_file_and_a_revision(address: str, quant: str | None, revision: str | None) -> None:
    spec = parse_spec(address, CARDS)
    assert (spec.repo, spec.quant, spec.revision) == ("owner/Any-GGUF", quant, revision)
    assert spec.revision_of(None) == (revision or "main")
    assert spec.revision_of("asked") == "asked"


def test_a_package_is_not_on_the_hub() -> None:
    with pytest.raises(OptionError, match="pip install demo"):
        parse_spec("demo", CARDS)


def test_a_spec_is_written_as_it_is_typed() -> None:
    assert str(parse_spec("maker/Medium-128B:Q2_K", CARDS)) == "medium:Q2_K"
    assert str(parse_spec("owner/Any:Q2_K", CARDS)) == "owner/Any:Q2_K"
