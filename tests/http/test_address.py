"""Where it listens."""

import socket

import pytest

from keva.errors import AddressUnusable
from keva.http.server import Server

from .serving import GET, App, Running, running


def test_a_port_in_use_is_told_in_one_sentence(running_server: Running) -> None:
    port = int(running_server.server.url.rsplit(":", 1)[1])
    with pytest.raises(AddressUnusable, match=f"{port}.*in use"):
        Server(App(), port=port)


@pytest.mark.parametrize("port", [-1, 65536, 73616])
def test_a_number_that_is_no_port_is_told_in_one_sentence(port: int) -> None:
    with pytest.raises(AddressUnusable, match="not a port"):
        Server(App(), port=port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "a" * 300])
def test_an_address_that_is_not_ours_is_told_in_one_sentence(host: str) -> None:
    with pytest.raises(AddressUnusable, match="not an address"):
        Server(App(), host=host)


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_an_ipv6_address_stands_in_brackets() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no ::1 here")
    with running(host="::1") as running_server:
        assert running_server.server.url.startswith("http://[::1]:")
        assert running_server.ask(GET).status == 200
