"""The body of a request as it comes in: of a known length, or in chunks by the letter of RFC 9112."""

import re
from io import BytesIO

from keva.http import refusals
from keva.http.refusals import ProtocolError
from keva.limits import BODY_TOO_LARGE, MAX_BODY

_MAX_LINE = 256
# Each line between chunks costs the loop as much as some kilobytes of data, so that there may be only so many of
# them: some for whoever sends little, and two for each 256 bytes.
_FREE_LINES = 512
_BYTES_A_LINE = 128
_SIZE = re.compile(rb"([0-9a-fA-F]+)[ \t]*+(?:;[^\r\n]*+)?\r\n")


class SizedBody:
    """A body of `size` bytes."""

    def __init__(self, size: int) -> None:
        self._missing, self.length = size, 0
        self.file = BytesIO()

    @property
    def completed(self) -> bool:
        return not self._missing

    def received(self, data: bytes) -> int:
        """Takes what belongs to the body, and gives how much that was."""
        self.length += self.file.write(data[: self._missing])
        taken = min(self._missing, len(data))
        self._missing -= taken
        return taken


class ChunkedBody:
    """A body in chunks. What is read leniently here may be read as two requests by a proxy, so nothing is."""

    def __init__(self) -> None:
        self.file = BytesIO()
        self.length, self.completed = 0, False
        self._missing = self._lines = 0
        self._line = b""  # the part of the next line that is here
        self._read_line = self._read_size

    def received(self, data: bytes) -> int:
        """Takes what belongs to the body, and gives how much that was."""
        at = 0
        while at < len(data) and not self.completed:
            if self._missing:
                at += self._take(data[at : at + self._missing])
            else:
                end = data.find(b"\n", at) + 1 or len(data)
                self._take_line(data[at:end])
                at = end
        return at

    def _take(self, piece: bytes) -> int:
        self.file.write(piece)
        self.length += len(piece)
        self._missing -= len(piece)
        return len(piece)

    def _take_line(self, part: bytes) -> None:
        self._line += part
        if len(self._line) > _MAX_LINE:
            raise ProtocolError(400, refusals.BAD_CHUNKS)
        if self._line.endswith(b"\n"):
            self._lines += 1
            if self._lines > _FREE_LINES + self.length // _BYTES_A_LINE:
                raise ProtocolError(413, refusals.TINY_CHUNKS)
            line, self._line = self._line, b""
            self._read_line(line)

    def _read_size(self, line: bytes) -> None:
        size = _SIZE.fullmatch(line)
        if size is None:
            raise ProtocolError(400, refusals.BAD_CHUNKS)
        self._missing = int(size[1], 16)
        if self.length + self._missing > MAX_BODY:
            raise ProtocolError(413, BODY_TOO_LARGE)
        self._read_line = self._read_end if self._missing else self._read_trailer

    def _read_end(self, line: bytes) -> None:
        if line != b"\r\n":
            raise ProtocolError(400, refusals.BAD_CHUNKS)
        self._read_line = self._read_size

    def _read_trailer(self, line: bytes) -> None:
        """Headers after the body, which nothing here reads."""
        if not line.endswith(b"\r\n"):
            raise ProtocolError(400, refusals.BAD_CHUNKS)
        self.completed = line == b"\r\n"
