"""One request as it comes in: how large it may be, and what is refused before anyone reads it."""

import re
import threading
from http import HTTPStatus
from typing import Any

from waitress.adjustments import Adjustments
from waitress.buffers import OverflowableBuffer
from waitress.parser import HTTPRequestParser
from waitress.receiver import FixedStreamReceiver
from waitress.utilities import build_http_date

from keva import errors
from keva.limits import BODY_TOO_LARGE, MAX_BODY

MAX_HEAD = 32 * 1024
# A body in chunks with the lines between them: very many tiny chunks keep the loop busy for nothing.
MAX_CHUNKED = 2 * MAX_BODY
MAX_CHUNK_LINE = 1024
# BodyBudget not yet answered, over all connections together, the small ones and the beginnings of others apart:
# those are bounded by the number of connections, and a few large bodies under way must not keep them out.
MAX_BODIES = 64 * 1024 * 1024
SMALL_BODY = 64 * 1024

NOT_HTTP = "This is not a valid HTTP request: check its first line and its headers, each ended by CR LF."
NOT_TLS = "This service speaks plain HTTP: start its address with http://, not https://."
BAD_VERSION = "Only HTTP/1.0 and HTTP/1.1 are spoken here: end the first line of the request with HTTP/1.1."
FOLDED = "A header goes over several lines, or holds a long run of blanks: write each on one line, without padding."
TWO_LENGTHS = (
    "Content-Length and Transfer-Encoding exclude each other: send one of them, the latter with HTTP/1.1 only."
)
BAD_CODING = "Only the transfer encoding chunked is understood, applied once: send Content-Length or chunks."
BAD_CHUNKS = "The body's chunks are not valid: send each as its size in hexadecimal, CR LF, its bytes and CR LF."
TINY_CHUNKS = "The body is cut into too many small chunks: send larger ones."
HEAD_TOO_LARGE = (
    "The first line and the headers are larger than 32 KiB together: send a shorter address and fewer headers."
)
TOO_MANY_BODIES = "Too many large requests are under way: try again in a second."

_FIRST_LINE = re.compile(rb"[!-~]+ [!-~\x80-\xff]+(?: (HTTP/[0-9.]+))?")
_LONG_RUN = re.compile(rb"[ \t]{200}")
_TRANSFER_ENCODING = re.compile(rb"\r\ntransfer-encoding:([^\r\n]*)", re.IGNORECASE)
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]+)[ \t]*(?:;[^\r\n]*)?\r\n")
# What waitress refuses by itself, in our words.
_TOLD_AS = {413: (413, TINY_CHUNKS), 431: (431, HEAD_TOO_LARGE), 501: (400, BAD_CODING)}


class ProtocolError(Exception):
    """A request that is answered before the application has seen it; the connection ends with it."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(status, sentence)
        self.status = status
        self.sentence = sentence

    def answer(self, method: str) -> bytes:
        body = errors.body(self.sentence)
        head = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            "Connection: close",
            f"Content-Length: {len(body)}",
            "Content-Type: application/json",
            f"Date: {build_http_date(None)}",
            *(["Retry-After: 1"] if self.status == 503 else []),
        ]
        return "\r\n".join([*head, "\r\n"]).encode() + (b"" if method == "HEAD" else body)


class BodyBudget:
    """How many bytes of large bodies are held, over all connections together."""

    def __init__(self) -> None:
        self.held = 0
        self._lock = threading.Lock()

    def reserve(self, size: int) -> bool:
        with self._lock:
            fits = self.held + size <= MAX_BODIES
            self.held += size if fits else 0
            return fits

    def release(self, size: int) -> None:
        with self._lock:
            self.held -= size


class RequestParser(HTTPRequestParser):
    """`error` is the ProtocolError, if there is one; whoever first sets `claimed` gives the answer."""

    error: Any = None
    body_rcv: Any = None
    first_line: bytes = b""
    claimed = False

    def __init__(self, settings: Adjustments, bodies: BodyBudget) -> None:
        super().__init__(settings)
        self._bodies = bodies
        self._held = 0

    @property
    def said(self) -> tuple[str, str]:
        """Method and path for the log, as far as they can be told."""
        words = self.first_line.decode("latin-1").split(" ")
        return (words[0][:20], words[1].partition("?")[0][:200]) if len(words) > 1 else ("-", "-")

    def received(self, data: bytes) -> int:
        """Takes what belongs to this request, and gives how much that was; once `completed`, `error` may be set."""
        earlier: bytes = self.header_plus
        try:
            if data[0] == 0x16 and not earlier and self.body_rcv is None:
                raise ProtocolError(400, NOT_TLS)
            consumed: int = super().received(data)
            if self.error:
                raise ProtocolError(*_TOLD_AS.get(self.error.code, (400, NOT_HTTP)))
            if self.body_rcv is not None:
                self._hold(len(self.body_rcv) - SMALL_BODY)
            return consumed
        except ProtocolError as refusal:
            self.error = refusal
        except Exception:
            self.error = ProtocolError(400, NOT_HTTP)
        if self.error.status == 431:
            self.first_line = (earlier + data).partition(b"\r\n")[0]
        self.completed = True
        return len(data)

    def parse_header(self, head: bytes) -> None:
        self.first_line = head.partition(b"\r\n")[0]
        # Waitress's own pattern for the first line takes a time that grows with the square of its length when it
        # does not fit: minutes for 32 KiB, in which nobody is served. So it only sees lines that fit.
        line = _FIRST_LINE.fullmatch(self.first_line)
        if line is None:
            raise ProtocolError(400, NOT_HTTP)
        if line[1] not in (b"HTTP/1.0", b"HTTP/1.1"):
            raise ProtocolError(400, BAD_VERSION)
        # The same goes for a long run of blanks; and different proxies read a folded header differently.
        if b"\r\n " in head or b"\r\n\t" in head or (len(head) > 1024 and _LONG_RUN.search(head)):
            raise ProtocolError(400, FOLDED)
        codings = _TRANSFER_ENCODING.findall(head)
        try:
            super().parse_header(head)
        except ValueError:
            # Python turns no text of thousands of digits into a number.
            if len(self.headers.get("CONTENT_LENGTH", "")) > 1000:
                raise ProtocolError(413, BODY_TOO_LARGE) from None
            raise
        if "close" in [option.strip(" \t").lower() for option in self.headers.get("CONNECTION", "").split(",")]:
            self.headers["CONNECTION"] = "close"  # waitress looks for this word alone
        self._check_framing(codings)
        if self.chunked:
            self.body_rcv = Chunks(self.body_rcv.getbuf())

    def close(self) -> None:
        super().close()
        self._bodies.release(self._held)
        self._held = 0

    def _check_framing(self, codings: list[bytes]) -> None:
        if codings and (self.version == "1.0" or "CONTENT_LENGTH" in self.headers):
            raise ProtocolError(400, TWO_LENGTHS)
        if codings and [coding.strip(b" \t").lower() for coding in codings] != [b"chunked"]:
            raise ProtocolError(400, BAD_CODING)
        if self.content_length > MAX_BODY:
            raise ProtocolError(413, BODY_TOO_LARGE)

    def _hold(self, size: int) -> None:
        if size > self._held:
            if not self._bodies.reserve(size - self._held):
                raise ProtocolError(503, TOO_MANY_BODIES)
            self._held = size


class Chunks(FixedStreamReceiver):
    """A body in chunks, by the letter: what is read leniently here may be read as two requests by a proxy."""

    def __init__(self, buffer: OverflowableBuffer) -> None:
        super().__init__(0, buffer)
        self._line = b""  # the part of the next line that is here
        self._read_line = self._read_size

    def received(self, data: bytes) -> int:
        at = 0
        while at < len(data) and not self.completed:
            if self.remain:
                piece = data[at : at + self.remain]
                self.buf.append(piece)
                self.remain -= len(piece)
                at += len(piece)
                continue
            end = data.find(b"\n", at) + 1 or len(data)
            self._line += data[at:end]
            at = end
            if len(self._line) > MAX_CHUNK_LINE:
                raise ProtocolError(400, BAD_CHUNKS)
            if self._line.endswith(b"\n"):
                line, self._line = self._line, b""
                self._read_line(line)
        return at

    def _read_size(self, line: bytes) -> None:
        size = _CHUNK_SIZE.fullmatch(line)
        if size is None:
            raise ProtocolError(400, BAD_CHUNKS)
        self.remain = int(size[1], 16)
        if len(self) + self.remain > MAX_BODY:
            raise ProtocolError(413, BODY_TOO_LARGE)
        self._read_line = self._read_end if self.remain else self._read_trailer

    def _read_end(self, line: bytes) -> None:
        if line != b"\r\n":
            raise ProtocolError(400, BAD_CHUNKS)
        self._read_line = self._read_size

    def _read_trailer(self, line: bytes) -> None:
        """Headers after the body, which nothing here reads."""
        if not line.endswith(b"\r\n"):
            raise ProtocolError(400, BAD_CHUNKS)
        self.completed = line == b"\r\n"
