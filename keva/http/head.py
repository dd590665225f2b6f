"""The first line and the headers of a request, read strictly and in a time that grows with their length alone."""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from keva.http import refusals
from keva.http.refusals import ProtocolError

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_FIRST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Z]++) ([!-~]++) HTTP/(1\.[01])")
_TARGET = re.compile(r"(?:[Hh][Tt][Tt][Pp][Ss]?://([^/?#]*+))?(/[^?#]*+|\*|(?=\?|#|$))(?:\?([^#]*+))?(?:#.*+)?")
_HEADER = re.compile(rb"(" + _TOKEN + rb"):[ \t]*+([^\x00-\x08\x0a-\x1f\x7f]*+)")
_NAME = re.compile(_TOKEN)
_WORD = re.compile(rb"[A-Za-z]{1,20}")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
# RFC 3986: a name or an IPv4 address, or an IP literal in brackets; then a port. It may be empty.
_HOST = re.compile(r"(?:(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*+|\[[0-9A-Fa-fv:.]++\])(?::[0-9]*+)?")
_ONCE = {"HOST", "CONTENT_LENGTH"}


@dataclass(frozen=True, slots=True)
class Head:
    """`headers` by their names as WSGI writes them, without HTTP_; `path` is decoded, in the manner of WSGI."""

    method: str
    target: str
    path: str
    query: str
    version: str
    headers: dict[str, str]


def read_head(raw: bytes) -> Head:
    """`raw` is all before the empty line; ProtocolError names the first thing that is wrong with it."""
    first_line, *lines = raw.split(b"\r\n")
    method, target, version = _read_first_line(first_line)
    parts = _TARGET.fullmatch(target)
    if parts is None or (parts[1] is not None and not _HOST.fullmatch(parts[1])):
        raise ProtocolError(400, refusals.BAD_ADDRESS)
    headers = _read_headers(lines)
    _check_host(headers.get("HOST"), version)
    path = unquote_to_bytes(parts[2] or "/").decode("latin-1")
    return Head(method, target, path, parts[3] or "", version, headers)


def _read_first_line(line: bytes) -> tuple[str, str, str]:
    match = _FIRST_LINE.fullmatch(line)
    if match is None:
        raise ProtocolError(400, _why_no_first_line(line))
    return match[1].decode("ascii"), match[2].decode("ascii"), match[3].decode("ascii")


def _read_headers(lines: list[bytes]) -> dict[str, str]:
    if len(lines) > refusals.MAX_HEADERS:
        raise ProtocolError(431, refusals.TOO_MANY_HEADERS)
    headers: dict[str, str] = {}
    for number, line in enumerate(lines, 2):
        match = _HEADER.fullmatch(line)
        if match is None:
            raise ProtocolError(400, _why_no_header(line).format(number=number))
        name, value = match.groups()
        if b"_" in name:  # which WSGI could not tell from the one with a dash
            continue
        key = name.decode("ascii").upper().replace("-", "_")
        text = value.rstrip(b" \t").decode("latin-1")
        if key not in headers:
            headers[key] = text
        elif key in _ONCE:
            raise ProtocolError(400, refusals.TWICE.format(name=key.replace("_", "-").title()))
        else:
            headers[key] += ", " + text
    return headers


def _check_host(host: str | None, version: str) -> None:
    if host is None:
        if version == "1.1":
            raise ProtocolError(400, refusals.NO_HOST)
    elif not _HOST.fullmatch(host):
        raise ProtocolError(400, refusals.BAD_HOST)


def _why_no_first_line(line: bytes) -> str:
    if b"\r" in line or b"\n" in line:
        return refusals.BARE_LINE_END
    words = line.split(b" ")
    version = words[-1].upper()
    if b"" in words:
        return refusals.ONE_BLANK
    if len(words) == 1 or (len(words) == 2 and version.startswith(b"HTTP/")):
        return refusals.NOT_HTTP
    if _CONTROL.search(line):
        return refusals.CONTROL_CHARACTER
    if not version.startswith(b"HTTP/"):
        return refusals.NO_VERSION
    if len(words) > 3:
        return refusals.BLANK_IN_ADDRESS
    if version not in (b"HTTP/1.0", b"HTTP/1.1"):
        return refusals.BAD_VERSION
    return _why_no_word(*words)


def _why_no_word(method: bytes, target: bytes, version: bytes) -> str:
    if not target.isascii():
        return refusals.NOT_ASCII
    if version != version.upper():
        return refusals.SMALL_VERSION
    if _WORD.fullmatch(method):
        return f"Methods are written in capitals: send {method.upper().decode('ascii')}."
    return refusals.NOT_HTTP


def _why_no_header(line: bytes) -> str:
    if b"\r" in line or b"\n" in line:
        return refusals.BARE_LINE_END
    if line.startswith((b" ", b"\t")):
        return refusals.FOLDED
    name, colon, _ = line.partition(b":")
    if not colon:
        return refusals.NO_COLON
    return refusals.BAD_VALUE if _NAME.fullmatch(name) else refusals.BAD_NAME
