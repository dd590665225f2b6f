"""Who calls through a proxy, and whom nobody believes."""

import logging
from typing import Any

import pytest

from keva.errors import AddressUnusable
from keva.http.proxies import Proxies
from keva.http.server import Server

from .serving import App, Running, running

FOR, PROTO = "X_FORWARDED_FOR", "X_FORWARDED_PROTO"


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "address"),
    [
        (None, "127.0.0.1", "192.0.2.1", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.2", "192.0.2.1", "127.0.0.2"),
        ("127.0.0.1", "127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("127.0.0.1", "::ffff:127.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("::1", "::1", "2001:DB8::0:1", "2001:db8::1"),
        ("127.0.0.1", "127.0.0.1", "192.0.2.1:4711", "192.0.2.1"),
        ("127.0.0.1", "127.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        # What the client sent itself stands to the left of what the proxy adds.
        ("127.0.0.1", "127.0.0.1", "198.51.100.7, 192.0.2.1", "192.0.2.1"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1, 192.0.2.1", "192.0.2.1"),
        # Two proxies, of which the outer is trusted or not.
        ("127.0.0.1, 10.0.0.9", "127.0.0.1", "198.51.100.7, 192.0.2.1, 10.0.0.9", "192.0.2.1"),
        ("127.0.0.1", "127.0.0.1", "192.0.2.1, 10.0.0.9", "10.0.0.9"),
        ("127.0.0.1,10.0.0.0/8", "127.0.0.1", "192.0.2.1,10.1.2.3,\t10.0.0.9", "192.0.2.1"),
        ("127.0.0.1,10.0.0.0/8", "127.0.0.1", "10.1.2.3, 10.0.0.9", "10.1.2.3"),
        # What is no address ends it: nobody knows who stands to the left.
        ("127.0.0.1,10.0.0.9", "127.0.0.1", "192.0.2.1, unknown, 10.0.0.9", "10.0.0.9"),
        ("127.0.0.1", "127.0.0.1", "192.0.2.1, evil\x1b[2J", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", "192.0.2.1,", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", "1" * 10_000, "127.0.0.1"),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_trusted_proxy(
    trusted: str | None, peer: str, forwarded: str | None, address: str
) -> None:
    headers = {} if forwarded is None else {FOR: forwarded}
    assert Proxies(trusted).client(peer, headers).address == address


@pytest.mark.parametrize(
    ("trusted", "forwarded", "proto", "scheme"),
    [
        (None, "192.0.2.1", "https", "http"),
        ("10.0.0.9", "192.0.2.1", "https", "http"),
        ("127.0.0.1", "192.0.2.1", "https", "https"),
        ("127.0.0.1", "192.0.2.1", "HTTPS", "https"),
        ("127.0.0.1", "192.0.2.1", None, "http"),
        ("127.0.0.1", "192.0.2.1", "gopher", "http"),
        ("127.0.0.1", None, "https", "https"),
        ("127.0.0.1", "192.0.2.1", "https, http", "http"),  # the client's own, and the proxy's
        ("127.0.0.1,10.0.0.9", "192.0.2.1, 10.0.0.9", "https, http", "https"),  # TLS ends at the outer one
        ("127.0.0.1,10.0.0.9", "192.0.2.1, 10.0.0.9", "https", "https"),  # the inner one passes it on
    ],
)
def test_the_scheme_is_the_one_that_the_outermost_trusted_proxy_was_called_with(
    trusted: str | None, forwarded: str | None, proto: str | None, scheme: str
) -> None:
    headers = {name: value for name, value in ((FOR, forwarded), (PROTO, proto)) if value is not None}
    assert Proxies(trusted).client("127.0.0.1", headers).scheme == scheme


@pytest.mark.parametrize("wrong", ["nginx", "", " ", "127.0.0.1/8", "127.0.0.1,", "256.1.1.1"])
def test_what_is_no_address_is_told(wrong: str) -> None:
    with pytest.raises(AddressUnusable, match="--trusted-proxy"):
        Server(App(), trusted_proxy=wrong)


class _Seen(App):
    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.answer = f"{environ['REMOTE_ADDR']} {environ['wsgi.url_scheme']}".encode()
        return super().__call__(environ, start_response)


@pytest.mark.parametrize(("trusted", "seen"), [(None, b"127.0.0.1 http"), ("127.0.0.1", b"192.0.2.1 https")])
def test_application_and_log_are_told_who_calls(
    caplog: pytest.LogCaptureFixture, trusted: str | None, seen: bytes
) -> None:
    with running(app=_Seen(), trusted_proxy=trusted) as served:
        assert _through_a_proxy(served, "GET /x").body == seen
        assert _through_a_proxy(served, "GET /x", "Content-Length: 99999999\r\n").status == 413
    [line] = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert line.startswith(f"{seen.split()[0].decode()} GET /x 413 ")


def _through_a_proxy(served: Running, first_words: str, more: str = "") -> Any:
    # A name with an underscore is one that a client may have got past its proxy.
    headers = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX_Forwarded_For: 198.51.100.7\r\n"
    return served.ask(f"{first_words} HTTP/1.1\r\nHost: desk\r\n{headers}{more}\r\n".encode())
