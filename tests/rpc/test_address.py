"""Which addresses a worker may listen on, and be asked at."""

import pytest

from ggufrun.errors import OptionError
from ggufrun.rpc.address import Address, addresses


@pytest.mark.parametrize("host", ["127.0.0.1", "192.168.1.20", "10.0.0.2", "172.20.0.1", "100.64.0.1", "169.254.3.4"])
def test_private_addresses_are_for_both_sides(host: str) -> None:
    address = Address.read(f"{host}:50052")
    assert address.resolved() == address.listening() == f"{host}:50052"


@pytest.mark.parametrize("host", ["8.8.8.8", "93.184.216.34"])
@pytest.mark.parametrize("network", [False, True])
def test_public_addresses_are_for_none(host: str, network: bool) -> None:
    address = Address.read(f"{host}:50052")
    for use in (address.resolved, lambda: address.listening(network=network)):
        with pytest.raises(OptionError, match="public address") as refused:
            use()
        assert "SSH tunnel or WireGuard" in refused.value.hint


def test_every_network_at_once_must_be_allowed() -> None:
    address = Address.read("0.0.0.0:50052")
    with pytest.raises(OptionError, match="every network"):
        address.listening()
    assert address.listening(network=True) == "0.0.0.0:50052"


def test_names_are_resolved_and_a_port_is_known() -> None:
    assert Address.read("localhost").resolved() == "127.0.0.1:50052"
    with pytest.raises(OptionError, match="no IPv4 address"):
        Address.read("no-such-host.invalid:1").resolved()


@pytest.mark.parametrize("text", ["", ":1", "a:b", "a:0", "a:70000", "[::1]:50052", "::1"])
def test_other_notations_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match="--rpc cannot be"):
        Address.read(text)


def test_several_workers_in_one_option() -> None:
    assert addresses(["a:1,b:2", "c"]) == ("a:1", "b:2", "c:50052")
    with pytest.raises(OptionError, match="twice"):
        addresses(["a:1,a:1"])
