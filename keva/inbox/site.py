"""Where the pages are to be found: which Host and which Origin are the site's own."""

from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from keva.errors import Invalid

_PORTS = {"http": 80, "https": 443}
_WILDCARDS = {"", "0.0.0.0", "::"}


class _Address(NamedTuple):
    host: str
    port: int


class Site:
    """The pages of a server that listens on `host`, and is reached from outside at `url`, if that is given."""

    def __init__(self, host: str, url: str | None = None) -> None:
        self.url = _checked(url) if url else None
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

    def is_own(self, origin: str, host: str) -> bool:
        """Whether that Origin header is of a page of the site, which was asked under `host`."""
        return origin == self.url or origin.lower() == f"http://{host}".lower()


def _checked(url: str) -> str:
    """The URL without a slash at its end, in lower case, without its scheme's own port; Invalid if it is no origin."""
    parts = urlsplit(url.strip())
    address = _address(parts.netloc, parts.scheme)
    if parts.scheme not in _PORTS or address is None or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise Invalid(f"{url!r} is not the address of a site: give --site one such as https://desk.example.com.")
    host = f"[{address.host}]" if ":" in address.host else address.host
    port = "" if address.port == _PORTS[parts.scheme] else f":{address.port}"
    return f"{parts.scheme}://{host}{port}"


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
