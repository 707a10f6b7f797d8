"""Which quants `ggufrun show` marks as here."""

from pathlib import Path

from ggufrun.hub.files import HubFile, HubQuant, Listing
from ggufrun.hub.pull_plan import quants_here
from ggufrun.store.hub_cache import RepoCache


def test_another_file_of_the_same_size_is_not_the_quant(tmp_path: Path) -> None:
    sha256 = {"Q4_0": "a" * 64, "Q8_0": "b" * 64}
    files = {quant: HubFile(f"M-{quant}.gguf", 5, each) for quant, each in sha256.items()}
    quants = tuple(HubQuant(quant, (file,)) for quant, file in files.items())
    listing = Listing("a/M", "c" * 40, quants, (), False, False, "", None, "")
    store = RepoCache(tmp_path, "a/M")
    store.blobs.mkdir(parents=True)
    store.blob("a" * 64).write_bytes(b"right")
    store.blob("e" * 64).write_bytes(b"older")
    store.place("d" * 40, "M-Q8_0.gguf", "e" * 64)
    assert quants_here(tmp_path, listing) == {"Q4_0"}
