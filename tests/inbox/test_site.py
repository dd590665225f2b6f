"""Which names the pages answer to, and which origins are their own."""

import pytest

from keva.errors import Invalid
from keva.inbox.site import Site


@pytest.mark.parametrize(
    ("listens_on", "url", "host", "known"),
    [
        ("127.0.0.1", None, "127.0.0.1:8080", True),
        ("127.0.0.1", None, "127.0.0.1:9999", True),  # through a tunnel
        ("127.0.0.1", None, "localhost:8080", True),
        ("127.0.0.1", None, "LOCALHOST", True),
        ("127.0.0.1", None, "[::1]:8080", True),
        ("127.0.0.1", None, "127.8.9.1:8080", True),
        ("127.0.0.1", None, "evil.example:8080", False),
        ("127.0.0.1", None, "localhost.evil.example", False),
        ("127.0.0.1", None, "evil-localhost:8080", False),
        ("127.0.0.1", None, "127.0.0.1.evil.example:8080", False),
        ("127.0.0.1", None, "127.0.0.1:8080@evil.example", False),
        ("127.0.0.1", None, "evil.example@127.0.0.1:8080", False),
        ("127.0.0.1", None, "127.0.0.1:8080/evil", False),
        ("127.0.0.1", None, "127.0.0.1:8080 evil.example", False),
        ("127.0.0.1", None, "127.0.0.1:port", False),
        ("127.0.0.1", None, "192.168.1.5:8080", False),
        ("127.0.0.1", None, "", False),
        ("127.0.0.1", None, None, False),
        ("192.168.1.5", None, "192.168.1.5:8080", True),
        ("192.168.1.5", None, "192.168.1.5:8081", False),
        ("desk.lan", None, "DESK.lan:8080", True),
        ("desk.lan", None, "desk.lan", False),
        # Whoever listens on every address is asked by each of them, and an address cannot be made to resolve here.
        ("0.0.0.0", None, "192.168.1.5:8080", True),
        ("::", None, "[2001:db8::5]:8080", True),
        ("0.0.0.0", None, "evil.example:8080", False),
        ("127.0.0.1", "https://desk.example.com", "desk.example.com", True),
        ("127.0.0.1", "https://desk.example.com", "desk.example.com:443", True),
        ("127.0.0.1", "https://desk.example.com", "DESK.example.com", True),
        ("127.0.0.1", "https://desk.example.com", "desk.example.com:8080", False),
        ("127.0.0.1", "https://desk.example.com", "other.example.com", False),
        ("127.0.0.1", "https://desk.example.com", "127.0.0.1:8080", True),
        ("127.0.0.1", "http://desk.example.com:8000/", "desk.example.com:8000", True),
    ],
)
def test_a_host_is_known_or_not(listens_on, url, host, known):
    assert Site(listens_on, url).knows(host, 8080) is known


@pytest.mark.parametrize(
    ("url", "origin", "asked", "own"),
    [
        (None, "http://127.0.0.1:8080", "http://127.0.0.1:8080", True),
        (None, "http://192.168.1.5:8080", "http://192.168.1.5:8080", True),
        (None, "https://192.168.1.5", "https://192.168.1.5", True),  # through a trusted proxy
        (None, "http://192.168.1.5", "https://192.168.1.5", False),
        (None, "http://127.0.0.1:8081", "http://127.0.0.1:8080", False),
        (None, "http://localhost:8080", "http://127.0.0.1:8080", False),
        (None, "https://127.0.0.1:8080", "http://127.0.0.1:8080", False),
        (None, "null", "http://127.0.0.1:8080", False),
        ("https://desk.example.com", "https://desk.example.com", "http://desk.example.com", True),
        ("https://desk.example.com", "https://desk.example.com", "http://127.0.0.1:8080", True),  # a proxy's own Host
        ("https://desk.example.com/desk", "https://desk.example.com", "http://desk.example.com", True),
        ("https://desk.example.com", "https://desk.example.com.evil.example", "http://desk.example.com", False),
        ("https://desk.example.com", "https://evil.example", "http://desk.example.com", False),
    ],
)
def test_an_origin_is_the_sites_own_or_not(url, origin, asked, own):
    assert Site("127.0.0.1", url).is_own(origin, asked) is own


@pytest.mark.parametrize(
    ("given", "url", "path", "secure"),
    [
        ("https://desk.example.com", "https://desk.example.com", "", True),
        ("HTTPS://Desk.Example.com:443/", "https://desk.example.com", "", True),
        ("http://desk.lan:8080", "http://desk.lan:8080", "", False),
        ("http://[::1]:8080", "http://[::1]:8080", "", False),
        ("https://Example.com/Desk/", "https://example.com/Desk", "/Desk", True),
        ("https://example.com/a-1/b.c", "https://example.com/a-1/b.c", "/a-1/b.c", True),
        ("https://example.com/inboxes", "https://example.com/inboxes", "/inboxes", True),
    ],
)
def test_a_site_is_an_origin_and_maybe_a_path(given, url, path, secure):
    site = Site("127.0.0.1", given)
    assert (site.url, site.path, site.secure) == (url, path, secure)


@pytest.mark.parametrize(
    "given",
    [
        "desk.example.com",
        "https://",
        "ftp://desk.example.com",
        "https://desk.example.com/inbox",
        "https://desk.example.com/api/v1",
        "https://desk.example.com/desk//more",
        "https://desk.example.com/desk/../more",
        "https://desk.example.com/d%65sk",
        "https://desk.example.com/my desk",
        "https://desk.example.com?x",
        "https://ann@desk.example.com",
        "https://desk.example.com:port",
        "https://dësk.example.com",
        "javascript://desk.example.com",
    ],
)
def test_what_is_no_address_of_a_site_is_refused(given):
    with pytest.raises(Invalid, match="is not the address of a site"):
        Site("127.0.0.1", given)
