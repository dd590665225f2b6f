"""Reads a file of tickets record by record: JSON lines, or one JSON array of the same objects."""

import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import BinaryIO

from keva.errors import Invalid

_CHUNK = 64 * 1024  # bytes
# Outside a text: up to the next bracket or, at the top, comma, over each text that ends in this chunk. Possessive
# quantifiers keep no way back, which in a long text would cost memory.
_TO_BRACKET = re.compile(rb'(?:[^\[\]{}"]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_TO_COMMA = re.compile(rb'(?:[^\[\]{}",]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_TO_QUOTE = re.compile(rb'[^"\\]*')
_CUT_OFF = "The array does not end, as in a file that was cut off: export it once more."
_MORE = "The array ends before it, and more follows: leave one array in the file."


class Records:
    """The records of `file` and their numbers: of the line, or of the element where the file is an array.

    No more than one of them is in memory. `size` has the bytes read so far, `noun` what the numbers count.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.noun = "Line"
        self.size = 0

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        number = 1
        start = self._read_line(_CHUNK)
        while start and not start.removeprefix(BOM_UTF8).strip():
            number += start.endswith(b"\n")
            start = self._read_line(_CHUNK)
        bare = start.removeprefix(BOM_UTF8).lstrip()
        if bare.startswith(b"["):
            self.noun = "Ticket"
            yield from enumerate(self._elements(bare[1:]), 1)
        else:
            if not start.endswith(b"\n"):
                start += self._read_line()
            yield from self._lines(start, number)

    def _lines(self, start: bytes, number: int) -> Iterator[tuple[int, bytes]]:
        while start:
            line = start.removeprefix(BOM_UTF8)  # which Windows programs write, and `cat` joins on to more lines
            if line.strip():
                yield number, line
            start = self._read_line()
            number += 1

    def _read_line(self, limit: int = -1) -> bytes:
        line = self._file.readline(limit)
        self.size += len(line)
        return line

    def _elements(self, chunk: bytes) -> Iterator[bytes]:
        """Those of the array; Invalid, once the whole ones are given, where it does not end well."""
        array = _Array()
        while not array.ended:
            yield from array.feed(chunk)
            chunk = array.rest if array.ended else self._read()
            if not chunk and not array.ended:
                raise Invalid(_CUT_OFF)
        while not chunk.strip():
            chunk = self._read()
            if not chunk:
                return
        raise Invalid(_MORE)

    def _read(self) -> bytes:
        chunk = self._file.read(_CHUNK)
        self.size += len(chunk)
        return chunk


class _Array:
    """Cuts the inside of an array into its elements; whether they are JSON is for others to say."""

    def __init__(self) -> None:
        self.ended = False
        self.rest = b""  # of the chunk, after the end
        self._depth = 0  # of the brackets that are open within the element
        self._in_text = self._escaped = False
        self._parts: list[bytes] = []
        self._first = True

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The elements that end in this chunk."""
        start = position = 0
        while (position := self._skip(chunk, position)) < len(chunk):
            sign = chunk[position : position + 1]
            if self._depth == 0 and sign in (b",", b"]"):
                self._parts.append(chunk[start:position])
                element = b"".join(self._parts)
                self._parts, start = [], position + 1
                if sign == b"]":
                    self.ended, self.rest = True, chunk[start:]
                if element.strip() or not (self._first and self.ended):
                    yield element
                self._first = False
                if self.ended:
                    return
            else:
                self._note(sign)
            position += 1
        self._parts.append(chunk[start:])

    def _skip(self, chunk: bytes, position: int) -> int:
        """Where the next sign stands that matters; the chunk's length where there is none."""
        if self._in_text:
            return self._skip_text(chunk, position)
        found = (_TO_BRACKET if self._depth else _TO_COMMA).match(chunk, position)
        return found.end() if found else position

    def _skip_text(self, chunk: bytes, position: int) -> int:
        if self._escaped:
            self._escaped, position = False, position + 1
        while (position := _end(_TO_QUOTE, chunk, position)) < len(chunk) and chunk[position] == ord("\\"):
            position += 2
            self._escaped = position > len(chunk)
        return min(position, len(chunk))

    def _note(self, sign: bytes) -> None:
        if sign == b'"':
            self._in_text = not self._in_text
        elif sign in b"[{":
            self._depth += 1
        elif self._depth:
            self._depth -= 1


def _end(pattern: re.Pattern[bytes], chunk: bytes, position: int) -> int:
    found = pattern.match(chunk, position)
    return found.end() if found else position
