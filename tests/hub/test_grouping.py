"""Which of a repository's files make up a quant, what it is called, and what is refused."""

import pytest

from ggufrun.hub.files import HubFile, Listing, is_safe
from ggufrun.hub.grouping import Grouped, group
from ggufrun.hub_errors import HubRefused, NoSuchQuant

SHA = "a" * 64


def grouped(*paths: str) -> Grouped:
    return group((path, 1000 + at, SHA) for at, path in enumerate(paths))


def named(*paths: str) -> dict[str, list[str]]:
    return {quant.name: [file.path for file in quant.files] for quant in grouped(*paths).quants}


def test_quants_are_named_by_their_labels() -> None:
    assert named("M-1B-Q4_K_M.gguf", "M-1B-UD-Q2_K_XL.gguf", "m.bf16.gguf", "M-IQ4_NL.gguf", "README.md") == {
        "Q4_K_M": ["M-1B-Q4_K_M.gguf"],
        "UD-Q2_K_XL": ["M-1B-UD-Q2_K_XL.gguf"],
        "BF16": ["m.bf16.gguf"],
        "IQ4_NL": ["M-IQ4_NL.gguf"],
    }


def test_they_come_from_the_smallest_to_the_largest() -> None:
    found = group([("M-Q8_0.gguf", 8, SHA), ("M-Q2_K.gguf", 2, SHA), ("M-Q4_0.gguf", 4, SHA)])
    assert [quant.name for quant in found.quants] == ["Q2_K", "Q4_0", "Q8_0"]


def test_a_split_set_in_a_folder_is_one_quant() -> None:
    shards = [f"UD-Q4_K_XL/M-UD-Q4_K_XL-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    assert named(*reversed(shards), "M-Q2_K.gguf") == {"UD-Q4_K_XL": shards, "Q2_K": ["M-Q2_K.gguf"]}


def test_a_split_set_that_is_not_whole_is_left_out_with_a_note() -> None:
    found = grouped("BF16/M-BF16-00001-of-00003.gguf", "BF16/M-BF16-00003-of-00003.gguf", "M-Q2_K.gguf")
    assert [quant.name for quant in found.quants] == ["Q2_K"]
    assert "split set of 3 files the repository has 2" in found.notes[0]


def test_shards_of_two_folders_are_no_set() -> None:
    assert not grouped("a/M-Q4_0-00001-of-00002.gguf", "b/M-Q4_0-00002-of-00002.gguf").quants


def test_what_lies_beside_a_model_is_no_quant() -> None:
    found = grouped(
        "M-Q4_K_M.gguf",
        "M-Q6_K-imatrix.gguf",  # made with one, and a quant
        "explora-IQ4_XS.gguf",
        "imatrix_unsloth.dat",
        "M.imatrix.gguf",
        "mtp-M-Q8_0.gguf",
        "M-lora-F16.gguf",
        "mmproj-F16.gguf",
        "M-BF16-mmproj.gguf",
    )
    assert {quant.name for quant in found.quants} == {"Q4_K_M", "Q6_K", "IQ4_XS"}
    assert [file.path for file in found.projectors] == ["mmproj-F16.gguf", "M-BF16-mmproj.gguf"]


def test_files_that_share_a_label_get_longer_names() -> None:
    assert set(named("A-Q4_0.gguf", "B-Q4_0.gguf", "A-Q8_0.gguf")) == {"A-Q4_0", "B-Q4_0", "Q8_0"}
    assert set(named("M-Q4_0.gguf", "old/M-Q4_0.gguf")) == {"M-Q4_0", "old-M-Q4_0"}


def test_every_quant_has_a_name_of_its_own_that_a_spec_can_hold() -> None:
    paths = [
        "plain.gguf",
        "a b/Q4_0.gguf",
        "a_b/Q4_0.gguf",
        "PLAIN-00001-of-00001.gguf",
        "ä.gguf",
        "ö.gguf",
        "Q4_0.gguf",
    ]
    names = [quant.name for quant in grouped(*paths).quants]
    assert len({name.lower() for name in names}) == len(paths)
    assert all(name and name.isascii() and not set(name) & set(" /:") for name in names)


def test_a_folder_may_tell_the_label() -> None:
    assert named("Q3_K_M/model.gguf") == {"Q3_K_M": ["Q3_K_M/model.gguf"]}


@pytest.mark.parametrize(
    "path",
    [
        "../x.gguf",
        "a/../../x.gguf",
        "/etc/x.gguf",
        "a//x.gguf",
        "a/./x.gguf",
        "a\\x.gguf",
        "C:x.gguf",
        "x:stream.gguf",
        "x\n.gguf",
        "x\x1b[2J.gguf",
        "x\u202efugg.gguf",
        "\ud800.gguf",
        "CON.gguf",
        "nul/x.gguf",
        "lpt1.x.gguf",
        "x. /y.gguf",
        "~/x.gguf",
        "x?.gguf",
        f"{'x' * 300}.gguf",
    ],
)
def test_a_name_that_could_lead_elsewhere_is_refused(path: str) -> None:
    found = grouped(path, "M-Q2_K.gguf")
    assert [quant.name for quant in found.quants] == ["Q2_K"]
    assert "left out" in found.notes[0]
    assert found.notes[0].isprintable()
    with pytest.raises(HubRefused):
        HubFile(path, 1, SHA)


def test_usual_names_are_not_refused() -> None:
    assert all(
        map(is_safe, ["M-Q4_0.gguf", "a/b/M v2 (1).gguf", "ähnlich.gguf", "console.gguf", ".hidden", "v1..2.gguf"])
    )


def test_thousands_of_refused_files_are_not_all_told() -> None:
    assert len(grouped(*(f"../{number}.gguf" for number in range(5000))).notes) < 50


def test_the_long_name_of_a_file_names_its_quant() -> None:
    quants = grouped("M-Q4_0.gguf", "old/M-Q4_0.gguf", "BF16/M x-00001-of-00002.gguf", "BF16/M x-00002-of-00002.gguf")
    listing = Listing("a/M", "0" * 40, quants.quants, (), False, False, "", None, "")
    assert listing.quant("m-q4_0").first.path == "M-Q4_0.gguf"
    assert listing.quant("old-M-Q4_0").first.path == "old/M-Q4_0.gguf"
    assert listing.quant("bf16-M_x").name == "BF16"
    assert listing.quant("BF16").name == "BF16"


def test_a_file_in_a_folder_that_is_a_file_is_left_out() -> None:
    found = grouped("M-Q4_0.gguf", "m-q4_0.gguf/b-Q8_0.gguf", "M-Q2_K.gguf")
    assert {quant.name for quant in found.quants} == {"Q4_0", "Q2_K"}
    assert found.notes == (
        "m-q4_0.gguf/b-Q8_0.gguf is left out: the repository has a file where its folder should be.",
    )


def test_a_quant_is_asked_for_in_any_case_and_a_wrong_one_names_the_nearest_first() -> None:
    quants = grouped("M-Q2_K.gguf", "M-UD-Q4_K_XL.gguf", "M-Q8_0.gguf", "M-Q4_K_M.gguf").quants
    listing = Listing("a/M", "0" * 40, quants, (), False, False, "", None, "")
    assert listing.quant("Ud-q4_K_xl").name == "UD-Q4_K_XL"
    with pytest.raises(NoSuchQuant) as caught:
        listing.quant("Q4_K_XL")
    assert caught.value.known[0] == "UD-Q4_K_XL"
    assert set(caught.value.known) == {"Q2_K", "Q4_K_M", "UD-Q4_K_XL", "Q8_0"}
