"""Where the pages are to be found: which Host and which Origin are the site's own."""

import re
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from keva.errors import Invalid

_PORTS = {"http": 80, "https": 443}
_WILDCARDS = {"", "0.0.0.0", "::"}
# Segments of letters, digits and -._~ alone, which nobody writes in two ways; our own paths are none of a site.
_PATH = re.compile(r"(?!/(?:inbox|api)(?:/|$))(?:/(?!\.)[0-9A-Za-z._~-]+)*")


class _Address(NamedTuple):
    host: str
    port: int


class Site:
    """A server that listens on `host`, and is reached from outside at `url`, if that is given.

    `path` is what stands before /inbox and /api in that address, empty where nothing does.
    """

    def __init__(self, host: str, url: str | None = None) -> None:
        origin, self.path = _checked(url) if url else (None, "")
        self._origin: str | None = origin
        self.url = origin and origin + self.path
        self.secure = bool(self.url and self.url.startswith("https:"))
        self._listens_on = host.lower()
        self._outside = _address(urlsplit(self.url).netloc, urlsplit(self.url).scheme) if self.url else None

    def knows(self, host: str | None, port: int) -> bool:
        """Whether that Host header names the address listened on at `port`, a loopback name, or the site from outside.

        Any other name may be an attacker's, who has it resolve to this machine (DNS rebinding).
        """
        address = _address(host, "http")
        if address is None:
            return False
        if _is_loopback(address.host) or address == _Address(self._listens_on, port):
            return True
        if self._outside is not None and _address(host, urlsplit(self.url or "").scheme) == self._outside:
            return True
        return self._listens_on in _WILDCARDS and _is_ip(address.host)  # an IP address cannot be made to resolve here

    def is_own(self, origin: str, asked: str) -> bool:
        """Whether that Origin header is of a page of the site, which was asked under the origin `asked`."""
        return origin == self._origin or origin.lower() == asked.lower()


def _checked(url: str) -> tuple[str, str]:
    """Its origin in lower case, without its scheme's own port, and its path without a slash at its end; or Invalid."""
    parts = urlsplit(url.strip())
    address, path = _address(parts.netloc, parts.scheme), parts.path.rstrip("/")
    if parts.scheme not in _PORTS or address is None or not _PATH.fullmatch(path) or parts.query or parts.fragment:
        raise Invalid(
            f"{url!r} is not the address of a site: give --site one such as https://desk.example.com, or "
            "https://example.com/desk, to which /inbox and /api are added."
        )
    host = f"[{address.host}]" if ":" in address.host else address.host
    port = "" if address.port == _PORTS[parts.scheme] else f":{address.port}"
    return f"{parts.scheme}://{host}{port}", path


def _address(netloc: str | None, scheme: str) -> _Address | None:
    if not netloc or "@" in netloc or not netloc.isascii():
        return None
    try:
        parts = urlsplit(f"//{netloc}")
        port = parts.port
    except ValueError:
        return None
    if parts.netloc != netloc or not parts.hostname:
        return None
    return _Address(parts.hostname, port if port is not None else _PORTS.get(scheme, 0))


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_ip(host) and ip_address(host).is_loopback)


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
