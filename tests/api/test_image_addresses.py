"""Which addresses may be asked for a picture, in every spelling that a URL may have for them."""

import socket
from typing import Final

import psutil
import pytest

from ggufrun.api.images.addresses import checked, plain, public, resolved
from ggufrun.errors import RequestError

_PUBLIC: Final = (
    *("1.1.1.1", "8.8.8.8", "93.184.216.34", "172.15.0.1", "172.32.0.1", "192.167.1.1", "223.255.255.254"),
    *("2606:4700:4700::1111", "2a00:1450:4001:800::200e", "::ffff:8.8.8.8", "64:ff9b::808:808"),
)
_PRIVATE: Final = (
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1"),
    *("169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "192.0.2.1"),
    *("198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("192.88.99.1", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:808:808::1", "2001::1"),
    *("2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "fe80::1", "fe80::1%lo", "fec0::1", "fc00::1", "fd00::1"),
    *("fd00:ec2::254", "ff02::1", "ff0e::1", "100::1", "3fff::1", "5f00::1", "4000::1", "not an address", ""),
)


@pytest.mark.parametrize("address", _PUBLIC)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert public(address)


@pytest.mark.parametrize("address", _PRIVATE)
def test_an_address_of_this_machine_its_networks_or_its_provider_is_not(address: str) -> None:
    assert not public(address)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.1", "localhost", "0"])
def test_other_spellings_of_the_loopback_are_found_out(host: str) -> None:
    try:
        found = resolved(host, 80)
    except OSError:
        return  # a system that does not know the spelling reaches nobody by it
    with pytest.raises(RequestError, match="not on the public internet"):
        checked(host, found, allowed=False)


def test_of_a_host_with_both_the_private_addresses_are_left_out() -> None:
    assert checked("h", ["10.0.0.1", "1.1.1.1", "::1"], allowed=False) == ["1.1.1.1"]
    assert checked("h", ["10.0.0.1"], allowed=True) == ["10.0.0.1"]


def test_this_machine_s_own_public_address_is_none_of_the_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = psutil.net_if_addrs()
    ours = next(iter(addresses.values()))[0]._replace(address="8.8.8.8")
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {**addresses, "public0": [ours]})
    for spelled in ("8.8.8.8", "::ffff:8.8.8.8", "::ffff:808:808", "64:ff9b::808:808"):
        assert checked("h", [spelled, "1.1.1.1"], allowed=False) == ["1.1.1.1"]
    assert checked("h", ["8.8.8.8"], allowed=True) == ["8.8.8.8"]


def test_the_refusal_does_not_say_what_a_name_means_inside() -> None:
    with pytest.raises(RequestError) as refused:
        checked("intranet.example", ["10.1.2.3"], allowed=False)
    assert "10.1.2.3" not in str(refused.value) and "intranet.example" in str(refused.value)


def test_hosts_are_compared_however_they_are_written() -> None:
    assert plain("Example.ORG.") == plain("example.org")
    assert plain("[::0001]") == plain("::1") != plain("::2")


def test_a_host_without_addresses_is_the_resolver_s_error() -> None:
    with pytest.raises(socket.gaierror):
        resolved("no-such-host.invalid", 80)
