"""The URL of a webhook: checked, taken apart, and shown without its password."""

import base64
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from keva.errors import Invalid

_LONGEST = 2000
_PLAIN = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class Address:
    """Where a webhook's deliveries go, and what its URL's user and password become."""

    secure: bool
    host: str
    port: int | None
    target: str
    authorization: str | None


def check_url(url: str) -> str:
    """The URL, if it can be sent to; else Invalid."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        if usable:
            parts.hostname.encode("idna")  # type: ignore[union-attr]
    except ValueError:  # no such port, brackets that do not close, a label that is too long
        usable = False
    if not usable:
        raise Invalid("That is no URL to send to: give one such as https://example.com/keva.")
    if not _PLAIN.fullmatch(url) or len(url) > _LONGEST:
        raise Invalid(
            f"A URL is at most {_LONGEST} plain characters: percent-encode blanks and the letters beyond ASCII."
        )
    if parts.fragment:
        raise Invalid("What follows # in a URL is never sent: leave it out.")
    return url


def take_apart(url: str) -> Address:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(parts.scheme == "https", parts.hostname or "", parts.port, target, _basic(parts))


def shown(url: str) -> str:
    """The URL without its password."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}:***@{host}").geturl()


def _basic(parts: SplitResult) -> str | None:
    """What `user:password@` before the host asks to be sent (RFC 7617)."""
    if parts.username is None:
        return None
    pair = unquote_to_bytes(parts.username) + b":" + unquote_to_bytes(parts.password or "")
    return "Basic " + base64.b64encode(pair).decode()
