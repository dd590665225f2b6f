"""Who a request really comes from, where a proxy that is trusted says so in the X-Forwarded headers."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from keva.errors import AddressUnusable

Address = IPv4Address | IPv6Address


class Client(NamedTuple):
    """The address and the scheme of a request, as the person who sent it would name them."""

    address: str
    scheme: str


class Proxies:
    """The proxies that are trusted, by their addresses or networks; what anybody else sends in these headers is not."""

    def __init__(self, trusted: str | None = None) -> None:
        self._trusted = [] if trusted is None else [_network(text.strip()) for text in trusted.split(",")]

    def client(self, peer: str, headers: Mapping[str, str]) -> Client:
        """Each proxy adds the address that it was called from at the right: the first of them that is no proxy's.

        What stands left of that one its sender may have made up.
        """
        address = _address(peer) if self._trusted else None
        if address is None or not self._trusts(address):
            return Client(peer, "http")
        hops = 0
        for text in reversed(_values(headers, "X_FORWARDED_FOR")):
            caller = _address(text)
            if caller is None:
                break
            address, hops = caller, hops + 1
            if not self._trusts(caller):
                break
        return Client(str(address), _scheme(_values(headers, "X_FORWARDED_PROTO"), hops))

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _values(headers: Mapping[str, str], name: str) -> list[str]:
    value = headers.get(name)
    return [part.strip(" \t") for part in value.split(",")] if value else []


def _scheme(values: list[str], hops: int) -> str:
    """What the outermost of the proxies that were passed says; each adds a value, or puts its own in their place."""
    told = values[-min(max(hops, 1), len(values))].lower() if values else ""
    return told if told in ("http", "https") else "http"


def _address(text: str) -> Address | None:
    """Also one with a port, as some proxies write it."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise AddressUnusable(
            f"{text!r} is not the address of a proxy: give --trusted-proxy one such as 127.0.0.1, or a whole network "
            "such as 10.0.0.0/8."
        ) from error
