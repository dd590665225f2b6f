"""The standard streams: closed, full or of a small character set, none of them makes a command fail as if by a bug."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import BinaryIO, cast

import click

from keva.errors import KevaError
from keva.log import readable


class OutputFailed(KevaError):
    """Standard output could not be written."""


def prepare() -> None:
    """Has what standard output or standard error cannot encode escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # None where it is closed
            stream.reconfigure(errors="backslashreplace")


def show(text: str) -> None:
    """Writes a result; OutputFailed, or BrokenPipeError, where nobody can read it."""
    with _failing_in_a_sentence():
        _opened()
        click.echo(text)


@contextmanager
def binary_output() -> Iterator[BinaryIO]:
    """Standard output, for bytes; raises what `show` does."""
    with _failing_in_a_sentence():
        yield cast(BinaryIO, _opened().buffer)
        _opened().flush()


def confirm(text: str) -> None:
    """Tells what was done: on standard error where standard output cannot be written, since it is done all the same."""
    try:
        show(readable(text))
    except (OutputFailed, BrokenPipeError):
        tell(text)


def tell(text: str) -> None:
    """Writes one line to standard error; where that cannot be written, nobody is left to tell."""
    with suppress(OSError):
        click.echo(readable(text), err=True)


@contextmanager
def _failing_in_a_sentence() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputFailed(f"Standard output cannot be written: {error.strerror}.") from error


def _opened() -> TextIOWrapper:
    if not isinstance(sys.stdout, TextIOWrapper):
        raise OSError(errno.EBADF, "it is closed")
    return sys.stdout
